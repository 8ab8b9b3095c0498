# Tells how a job stands, then what it wrote from an offset on, 64 KiB at most.
# In: d (the job's folder), from (offset), turns (how many fifths of a second to wait for news).
state() {
    [ -d "$d" ] || { echo never; return; }
    [ ! -e "$d/rc" ] || { echo exited; return; }
    # A start that is under way.
    flock -n -s "${d%/*}/starting" true || { echo running; return; }
    flock -n -s "$d/alive" true || { if [ -e "$d/ended" ]; then echo syncing; else echo running; fi; return; }
    # It may have ended between the two looks.
    [ ! -e "$d/rc" ] || { echo exited; return; }
    [ -e "$d/started" ] || { echo never; return; }
    read -r boot <"$d/started" || boot=
    if [ "$boot" = "called off" ]; then echo lost; return; fi
    if [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ]; then echo lost; else echo rebooted; fi
}
n=0
while :; do
    s=$(state)
    size=0
    if [ -e "$d/out" ]; then size=$(stat -c %s -- "$d/out"); fi
    case $s in running | syncing) ;; *) break ;; esac
    if [ "$size" -gt "$from" ] || [ "$n" -ge "$turns" ]; then break; fi
    n=$((n + 1))
    sleep 0.2
done
result=
if [ "$s" = exited ]; then read -r result <"$d/rc"; fi
echo "$s $size $result"
if [ "$size" -gt "$from" ]; then tail -c "+$((from + 1))" -- "$d/out" | head -c 65536; fi
