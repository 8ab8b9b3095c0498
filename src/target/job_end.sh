# Ends a job that may still run, and waits until nothing of it is left.
# In: d (the job's folder).
[ -d "$d" ] || exit 0
cd -- "$d" && d=$(pwd -P) || exit 1
running() { [ ! -e rc ] && [ -e alive ] && ! flock -n -s alive true; }
# Numbers of processes are given to others later; who has the lock open is surely of the job. The wrapper ends by itself.
signal() {
    for process in $(find /proc/[0-9]*/fd -perm -200 -lname "$d/alive" 2>/dev/null | cut -d / -f 3 | sort -u); do
        [ "$process" = "$(cat pid)" ] || kill -s "$1" "$process"
        [ "$process" != "$(cat main)" ] || kill -s "$1" -- "-$process"
    done 2>/dev/null
}
n=0
syncs=0
while running; do
    # The command has ended, and what it wrote is being synced: however long that takes, no signal makes it shorter.
    if [ -e ended ]; then
        syncs=$((syncs + 1))
        if [ "$syncs" -gt 12000 ]; then
            echo "the command in $d has ended, and what it wrote is being synced still: see what its disks do" >&2
            exit 1
        fi
        sleep 0.2
        continue
    fi
    case $n in
    0) signal TERM ;;
    100 | 150 | 200 | 250) signal KILL ;;
    esac
    n=$((n + 1))
    if [ "$n" -gt 300 ]; then
        echo "the job in $d does not end" >&2
        exit 1
    fi
    sleep 0.1
done
