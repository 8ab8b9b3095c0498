# Takes the lock when it is still as it was seen; says how it is now either way.
# In: home, seen, claim (a line that describes the new holder, or empty to look only).
# Out: clock, boot id, epoch, `running` for each running job, the holder's two lines.
h=$home
state() {
    e=0; if [ -e "$h/epoch" ]; then read -r e <"$h/epoch" || e=0; fi
    echo "epoch ${e:-0}"
    for alive in "$h"/*/*/*/alive; do
        [ -e "$alive" ] && [ ! -e "${alive%/alive}/rc" ] || continue
        flock -n -s "$alive" true || echo "running ${alive#"$h/"}"
    done
    if [ -e "$h/holder" ]; then sed 's/^/holder /' "$h/holder"; fi
}
tell() { echo "clock $(date +%s)"; echo "boot $(cat /proc/sys/kernel/random/boot_id)"; state; }
safe_home() {
    if [ -L "$h" ]; then echo "$h is a symbolic link; drctl keeps its state in a folder of its own" >&2; exit 76; fi
    [ -e "$h" ] || return 1
    if [ ! -d "$h" ]; then echo "$h is not a folder" >&2; exit 76; fi
    set -- "$(stat -c %u -- "$h")" "$(stat -c %A -- "$h")"
    if [ "$1" != 0 ]; then echo "$h belongs to uid $1, not to root" >&2; exit 76; fi
    case $2 in
    ?????w* | ????????w*) echo "$h can be written to by others than root ($2)" >&2; exit 76 ;;
    esac
    odd=$(find "$h" -mindepth 1 -maxdepth 1 \( -type l -o ! -user 0 \) | head -n 1)
    if [ -n "$odd" ]; then echo "$odd is a symbolic link, or not root's; drctl makes no such thing" >&2; exit 76; fi
}
if [ -z "$claim" ]; then
    if safe_home; then tell; else h=/nonexistent; tell; fi
    exit 0
fi
set -e
if ! safe_home; then mkdir -p -- "${h%/*}"; mkdir -m 700 -- "$h" 2>/dev/null || safe_home; fi
exec 8>>"$h/mutex"
if ! flock -w 20 8; then echo "a script of another controller still runs on this host" >&2; exit 76; fi
now=$(state)
if [ "$now" = "$seen" ]; then
    # A full disk leaves nothing half-made.
    trap 'rm -f -- "$h/epoch.new" "$h/holder.new"' EXIT
    e=$(($(echo "$now" | sed -n 's/^epoch //p') + 1))
    t=$(date +%s)
    # The epoch goes first: an old holder is shut out before a new one is named.
    echo "$e" >"$h/epoch.new"; sync "$h/epoch.new"; mv -fT -- "$h/epoch.new" "$h/epoch"
    printf '%s\n%s\n' "$claim" "$t $t $(cat /proc/sys/kernel/random/boot_id) running" >"$h/holder.new"
    sync "$h/holder.new"; mv -fT -- "$h/holder.new" "$h/holder"; sync "$h"
    echo "taken $e"
else
    tell
fi
