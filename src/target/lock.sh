# Takes the lock when it is still as it was seen; says how it is now either way.
# In: home, seen, claim (a line that describes the new holder, or empty to look only), own (its run's folder), over (that
# of the run whose lock is taken over, or empty), later (the file in a run's folder that names the one after it).
# Out: clock, boot id, uptime, epoch, `running` for each running job, `held` and the holder's two lines.
h=$home
# A number and a word that is never used twice: an epoch that was lost is not given again, whatever its number is.
epoch() {
    e=; if [ -e "$h/epoch" ]; then e=$(head -n 1 -- "$h/epoch" | tr -cd '[:alnum:] -'); fi
    echo "$e"
}
state() {
    echo "epoch $(epoch)"
    for alive in "$h"/*/*/*/alive; do
        [ -e "$alive" ] && [ ! -e "${alive%/alive}/rc" ] || continue
        flock -n -s "$alive" true || echo "running ${alive#"$h/"}"
    done
    if [ -e "$h/holder" ]; then echo held; sed 's/^/holder /' "$h/holder"; fi
}
tell() {
    echo "clock $(date +%s)"
    echo "boot $(cat /proc/sys/kernel/random/boot_id)"
    read -r up _ </proc/uptime
    echo "uptime ${up%.*}"
    state
}
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
# A run that came after it has built on what it left: undone in another order, they would leave neither's state.
if [ -e "$h/$own/$later" ]; then echo "later $(cat "$h/$own/$later")"; exit 0; fi
if ! safe_home; then mkdir -p -- "${h%/*}"; mkdir -m 700 -- "$h" 2>/dev/null || safe_home; fi
# Not the number that fenced scripts have the file under: those may be ended, who waits here may not.
exec 9>>"$h/mutex"
if ! flock -w 10 9; then
    end_scripts
    if ! flock -w 10 9; then echo "a script of another controller still runs on this host" >&2; exit 76; fi
fi
now=$(state)
if [ "$now" = "$seen" ]; then
    # A full disk leaves nothing half-made.
    trap 'rm -f -- "$h/epoch.new" "$h/holder.new" "$h"/*/"$later.new"' EXIT
    n=$(epoch)
    n=${n%% *}
    case $n in '' | *[!0-9]* | ??????????????*) n=0 ;; esac
    e="$(expr "$n" + 1) $(cat /proc/sys/kernel/random/uuid)"
    t=$(date +%s)
    read -r up _ </proc/uptime
    # All that takes room comes first.
    printf '%s\n' "$e" >"$h/epoch.new"
    # The second line has a fixed length: from now on it is written over in place.
    printf '%s\n%-95s\n' "$claim" "$t $t $(cat /proc/sys/kernel/random/boot_id) running ${up%.*}" >"$h/holder.new"
    if [ -n "$over" ]; then mkdir -p -m 700 -- "$h/$over"; fi
    for run in "$h"/*/; do
        if [ "$run" != "$h/$own/" ] && [ -d "$run" ] && [ ! -e "$run$later" ]; then echo "$own" >"$run$later.new"; fi
    done
    sync "$h/epoch.new" "$h/holder.new"
    # The epoch goes first: an old holder is shut out before a new one is named.
    mv -fT -- "$h/epoch.new" "$h/epoch"
    mv -fT -- "$h/holder.new" "$h/holder"
    for new in "$h"/*/"$later.new"; do
        if [ -e "$new" ]; then sync "$new"; mv -fT -- "$new" "${new%.new}"; sync "${new%/*}"; fi
    done
    sync "$h"
    echo "taken $e"
else
    tell
fi
