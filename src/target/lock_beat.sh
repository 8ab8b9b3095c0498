# The holder says that it is alive, or that it stopped part way; or lets go.
# In: home, state (running, stopped or released).
set -e
cd -- "$home"
# A heartbeat that is under way must not bring back what is let go of meanwhile.
if [ ! -e holder ]; then
    # Letting go once more is no fault.
    [ "$state" != released ] || exit 0
    echo "nobody holds the lock" >&2
    exit 1
fi
exec 7<holder
flock 7
[ holder -ef /proc/self/fd/7 ] || exit 1
if [ "$state" = released ]; then rm -f holder; sync .; exit; fi
{ IFS= read -r who; read -r since _; } <holder
read -r up _ </proc/uptime
# Over bytes that are there already, and as many: neither a full disk nor a crash leaves less than a holder.
printf '%s\n%-95s\n' "$who" "$since $(date +%s) $(cat /proc/sys/kernel/random/boot_id) $state ${up%.*}" 1<>holder
if [ "$state" = stopped ]; then sync holder; fi
