# Runs a job's command in a session of its own. The command inherits the lock on `alive`, so that
# the job counts as running even if this wrapper is killed.
d=$1
cd -- "$d" || exit 0
umask 077
exec 9>>alive
flock 9
(set -C && cat /proc/sys/kernel/random/boot_id >started) 2>/dev/null || exit 0
echo "$$" >pid
sync started pid . 2>/dev/null
read -r limit <limit
# The first 8 MiB of output are kept as they come, of what follows the last 64 KiB.
rm -f pipe
mkfifo pipe
{
    (ulimit -c 0; ulimit -f 16384 && exec cat >>out) 2>/dev/null
    tail -c 65536 >rest
    if [ -s rest ]; then
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
# What the command left behind in its process group ends with it.
n=0
while kill -s 0 -- "-$main" 2>/dev/null && [ "$n" -lt 50 ]; do
    [ "$n" -gt 0 ] || kill -s TERM -- "-$main" 2>/dev/null
    n=$((n + 1))
    sleep 0.1
done
kill -s KILL -- "-$main" 2>/dev/null
n=0
while kill -s 0 "$keeper" 2>/dev/null && [ "$n" -lt 50 ]; do
    n=$((n + 1))
    sleep 0.1
done
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
