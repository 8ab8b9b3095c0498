# Runs a job's command in a session of its own. Whatever has the lock on `alive` open, as file 9, belongs to the job: the
# job counts as running even if this wrapper is killed, and what left the command's session still ends with the command.
cd -- "$1" || exit 0
d=$(pwd -P)
umask 077
# Commands may have keys in memory.
ulimit -c 0
exec 9>>alive
flock 9
(set -C && cat /proc/sys/kernel/random/boot_id >started) 2>/dev/null || exit 0
echo "$$" >pid
sync started pid . 2>/dev/null
read -r limit <limit
# The first 8 MiB of output are kept as they come, and the last 64 KiB.
rm -f pipe
mkfifo pipe
{
    # Past the limit, or on a full disk, `tee` writes no more there, and goes on.
    (
        trap '' XFSZ
        ulimit -f 16384
        exec tee -a out
    ) 2>/dev/null | tail -c 65536 >rest
    if [ "$(tail -c 65536 out | cksum)" != "$(cksum <rest)" ]; then
        printf '\n[drctl: more output came, of which these are the last 64 KiB]\n'
        cat rest
    fi >>out
    rm -f rest
} <pipe 9>&- &
keeper=$!
exec 3>pipe
rm -f pipe
read -r from _ </proc/uptime
(
    umask 022
    cd /
    HOME=${HOME:-/root}
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin${PATH:+:$PATH}
    LC_ALL=C
    export HOME PATH LC_ALL
    exec timeout -k 10 "$limit" sh "$d/command" </dev/null >&3 2>&3 3>&-
) &
main=$!
exec 3>&-
echo "$main" >main
wait "$main"
status=$?
read -r to _ </proc/uptime
# What the command left behind ends with it: its process group, and what took file 9 along into another session.
left() {
    exec 9>&-
    find /proc/[0-9]*/fd -perm -200 -lname "$d/alive" 2>/dev/null | cut -d / -f 3 | grep -vx "$$" | sort -u
}
n=0
while kill -s 0 -- "-$main" 2>/dev/null || [ -n "$(left)" ]; do
    if [ "$n" = 0 ]; then kill -s TERM -- "-$main" $(left) 2>/dev/null; fi
    if [ "$n" -ge 100 ]; then kill -s KILL -- "-$main" $(left) 2>/dev/null; fi
    # What even that does not end is in the kernel's hands.
    [ "$n" -lt 150 ] || break
    n=$((n + 1))
    sleep 0.1
done
n=0
while kill -s 0 "$keeper" 2>/dev/null && [ "$n" -lt 50 ]; do
    n=$((n + 1))
    sleep 0.1
done
# From here on nobody needs to end anything: the number of the command's process, which others are given later, is the sign
# of that. A rename takes no room on a full disk. It says nothing of the outcome, and need not last.
mv -f main ended
# What the command did outlasts a power cut before anybody is told that it ended: on the file systems that a control plane
# is made of, however long that takes, and on every other with a device, if that answers soon: one that does not may be
# a lost disk that has nothing to do with this.
for at in / "$d" /etc /var /var/lib/kubelet /var/lib/etcd; do
    [ ! -e "$at" ] || sync -f "$at" 2>&1
done >>out
grep -E '^(/dev/|[^ ]+ [^ ]+ zfs )' /proc/mounts | grep -v ' fuse' | sort -u -k1,1 | cut -d ' ' -f 2 | sed 's/\\/\\0/g' | (
    exec 9>&-
    others=
    while IFS= read -r at; do
        # Blanks and the like are written in octal there.
        at=$(printf '%b.' "$at")
        at=${at%.}
        [ -e "$at" ] || continue
        sync -f "$at" &
        others="$others $!"
    done
    n=0
    for other in $others; do
        while kill -s 0 "$other" 2>/dev/null && [ "$n" -lt 150 ]; do
            n=$((n + 1))
            sleep 0.1
        done
    done
    [ "$n" -lt 150 ] || printf '\n[drctl: a file system does not answer; what the command wrote there may not last]\n'
) >>out 2>&1
over=0
case $status in
124 | 137) [ "$((${to%.*} - ${from%.*}))" -lt "$limit" ] || over=1 ;;
esac
sync out
# Written over bytes that are there already: a full disk does not lose the result.
printf '%-63s\n' "$status $over" 1<>result
sync result
mv -f result rc
sync .
