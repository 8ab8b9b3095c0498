# Puts back what a step's `set_aside` kept. Can be broken off anywhere and done again.
# In: aside, hidden (name for things kept outside of it), busy; uses `read_entry` and `tell_gone`.
set -e
[ -d "${aside%/*}" ] || exit 0
exec 7>>"$busy"
flock -w 3000 7
# Once all is back, an empty folder is the mark of that: an undo that comes again finds it.
leave_mark() {
    sync "${aside%/*}"
    rm -rf -- "$aside.back"/*
}
rm -rf -- "$aside.new"
if [ ! -e "$aside" ]; then
    leave_mark
    exit 0
fi
# What somebody removed by hand is no reason to remove what stands in its place now, and none to call that done.
gone=$(tell_gone)
if [ -n "$gone" ]; then
    printf '%s\n' "$gone" >&2
    exit 1
fi
# Of an attempt before.
rm -rf -- "$aside.back"
remove() {
    if ! rm -rf --one-file-system -- "$1"; then
        echo "could not remove all of $1; is something mounted below it?" >&2
        exit 1
    fi
}
# Gives a path a new content in one rename; what was there goes after it.
swap() {
    undone=${path%/*}/$hidden.undone
    remove "$undone"
    if [ -e "$path" ] || [ -L "$path" ]; then mv -T -- "$path" "$undone"; fi
    if [ -n "$1" ]; then mv -T -- "$1" "$path"; fi
    sync "${path%/*}"
    remove "$undone"
}
empty_mount() {
    find "$path" -mindepth 1 -maxdepth 1 ! -name '.drctl-*' ! -name lost+found \
        -exec rm -rf --one-file-system -- {} +
}
mount_back() {
    if ! mountpoint -q -- "$path"; then
        echo "$path was a mount point when it was set aside, and is none now" >&2
        exit 1
    fi
    # Emptied once only: from then on there are things of before in it again.
    if [ ! -e "$k/emptied" ]; then
        empty_mount
        : >"$k/emptied"
        sync "$k/emptied" "$k"
    fi
    if [ "$how" = copy ]; then
        cp -axT -- "$k/data/it" "$path"
    elif [ -d "$stored" ]; then
        find "$stored" -mindepth 1 -maxdepth 1 -exec mv -t "$path" -- {} +
        rmdir -- "$stored"
    fi
    read -r mode owner <"$k/mode"
    chown -- "$owner" "$path"
    chmod -- "$mode" "$path"
    touch -r "$k/mount.time" -- "$path"
    sync -f "$path"
}
put_back() {
    read_entry "$1"
    safe_way "$path" links
    case $how:$kind in
    *:absent) if [ -d "${path%/*}" ]; then swap ''; fi ;;
    move:mount)
        # Not yet kept: nothing else was written, and all of it is of before.
        if [ ! -e "$k/kept" ]; then : >"$k/emptied"; fi
        mount_back
        ;;
    copy:mount) if [ -e "$k/kept" ]; then mount_back; fi ;;
    move:*)
        if [ -e "$stored" ] || [ -L "$stored" ]; then
            : >"$k/back"
            sync "$k/back" "$k"
            swap "$stored"
        fi
        ;;
    copy:*)
        if [ -e "$k/kept" ]; then
            missing_above "$path"
            remove "$stored"
            cp -ax -- "$k/data/it" "$stored"
            sync -f "${stored%/*}"
            swap "$stored"
        fi
        ;;
    esac
}
# A folder above that has gone since is a fault to tell, not to guess about.
missing_above() {
    if [ ! -d "${1%/*}" ]; then
        echo "${1%/*} was there when $1 was copied, and is gone now" >&2
        exit 1
    fi
}
# What is left of this run next to a path, then the folders that were not there before.
tidy() {
    k=$1
    IFS= read -r path <"$k/path"
    read -r missing <"$k/missing"
    above=${path%/*}
    IFS= read -r new <"$k/new"
    remove "$new"
    # A swap that was broken off after its renames.
    remove "${path%/*}/$hidden.undone"
    while [ "$missing" -gt 0 ]; do
        if [ -d "$above" ] && [ ! -L "$above" ]; then rmdir -- "$above" 2>/dev/null || :; fi
        above=${above%/*}
        missing=$((missing - 1))
    done
}
set_times() {
    k=$1
    IFS= read -r parent <"$k/parent"
    if [ -d "$parent" ]; then
        touch -r "$k/parent.time" -- "$parent"
        sync "$parent"
    fi
}
for deed in put_back tidy set_times; do
    i=$(entries)
    while [ "$i" -gt 0 ]; do
        "$deed" "$aside/$i"
        i=$((i - 1))
    done
done
mv -T -- "$aside" "$aside.back"
leave_mark
