# Starts a job, at most once however often this runs, and whoever runs it.
# In: d (the job's folder), wrapper, command, limit (seconds), unit, again (1: an ended job is begun anew).
set -e
mkdir -p -- "${d%/*}"
exec 7>>"${d%/*}/starting"
flock -w 60 7
if [ "$again" = 1 ] && [ -d "$d" ] && { [ -e "$d/rc" ] || flock -n -s "$d/alive" true; }; then rm -rf -- "$d"; fi
if [ ! -d "$d" ]; then
    # All that the job needs is there, durable, before the folder has its name.
    rm -rf -- "$d.new"
    mkdir -- "$d.new"
    printf '%s' "$wrapper" >"$d.new/wrapper"
    printf '%s\n' "$command" >"$d.new/command"
    printf '%s\n' "$limit" >"$d.new/limit"
    printf '%63s\n' '' >"$d.new/result"
    : >"$d.new/alive"
    : >"$d.new/out"
    sync -f "$d.new"
    mv -T -- "$d.new" "$d"
    sync "${d%/*}"
fi
# Whoever creates `started` first runs the command: the wrapper, or this script to call the wrapper off.
[ ! -e "$d/started" ] || exit 0
if ! { [ -d /run/systemd/system ] && command -v systemd-run >/dev/null &&
    systemd-run --quiet --unit="$unit-$$" --description="drctl job $d" -p TimeoutStopSec=10 \
        sh "$d/wrapper" "$d" </dev/null 7>&-; }; then
    setsid sh "$d/wrapper" "$d" </dev/null >/dev/null 2>&1 7>&- &
fi
n=0
until [ -e "$d/started" ]; do
    n=$((n + 1))
    if [ "$n" -gt 300 ] && (set -C && echo called off >"$d/started") 2>/dev/null; then
        echo "the job's wrapper did not come up" >&2
        exit 1
    fi
    sleep 0.1
done
