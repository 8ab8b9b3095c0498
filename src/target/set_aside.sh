# Keeps paths, to be able to put them back. First all is written down, durably; then it is done.
# In: aside (the step's folder of kept things), hidden (name for things kept outside of it), busy; uses `read_entry`.
# The list of paths comes as `note HOW PATH NEW` calls; NEW is what is made next to PATH while it is placed before `finish`.
set -e
mkdir -p -- "${aside%/*}"
exec 7>>"$busy"
flock -w 3000 7
kind() {
    if [ -L "$1" ]; then echo symlink
    elif [ ! -e "$1" ]; then echo absent
    elif mountpoint -q -- "$1"; then echo mount
    elif [ -d "$1" ]; then echo folder
    else echo file; fi
}
# Writes down a path, the deepest folder above it that is there, and how many above it are missing.
note() {
    [ ! -e "$aside" ] || return 0
    if [ "$1" = linked ]; then
        [ ! -L "$2" ] || note copy "$(readlink -m -- "$2")" "$3"
        return
    fi
    safe_way "$2"
    i=$((i + 1))
    k=$aside.new/$i
    mkdir -- "$k"
    printf '%s\n' "$1" >"$k/how"
    printf '%s\n' "$2" >"$k/path"
    printf '%s\n' "$3" >"$k/new"
    kind "$2" >"$k/kind"
    parent=${2%/*}
    missing=0
    while [ -n "$parent" ] && [ ! -d "$parent" ]; do
        parent=${parent%/*}
        missing=$((missing + 1))
    done
    echo "$missing" >"$k/missing"
    printf '%s\n' "${parent:-/}" >"$k/parent"
    touch -r "${parent:-/}" -- "$k/parent.time"
    case $(cat "$k/kind") in
    mount)
        stat -c '%a %u:%g' -- "$2" >"$k/mode"
        touch -r "$2" -- "$k/mount.time"
        printf '%s\n' "$2/$hidden.$i" >"$k/stored"
        ;;
    *) printf '%s\n' "${2%/*}/$hidden.$i" >"$k/stored" ;;
    esac
    IFS= read -r stored <"$k/stored"
    if [ -e "$stored" ] || [ -L "$stored" ]; then
        refuse "$stored is there already, where $2 would be kept. See what it is, move it away, and run again"
    fi
}
# One path out of the way, or copied. Can be broken off anywhere and done again.
keep() {
    [ ! -e "$1/kept" ] || return 0
    read_entry "$1"
    case $how:$kind in
    *:absent) ;;
    move:mount)
        mkdir -p -- "$stored"
        find "$path" -mindepth 1 -maxdepth 1 ! -name '.drctl-*' ! -name lost+found -exec mv -t "$stored" -- {} +
        sync "$stored" "$path"
        ;;
    move:*)
        if [ ! -e "$stored" ] && [ ! -L "$stored" ]; then mv -T -- "$path" "$stored"; fi
        sync "${path%/*}"
        ;;
    copy:*)
        rm -rf -- "$k/data"
        mkdir -- "$k/data"
        cp -ax -- "$path" "$k/data/it"
        sync -f "$k/data"
        ;;
    esac
    : >"$k/kept"
    sync "$k/kept" "$k"
}
begin() {
    i=0
    # An attempt that was undone before left its mark.
    rm -rf -- "$aside.new" "$aside.back"
    [ -e "$aside" ] || mkdir -- "$aside.new"
}
finish() {
    if [ ! -e "$aside" ]; then
        echo "$i" >"$aside.new/entries"
        sync -f "$aside.new"
        mv -T -- "$aside.new" "$aside"
    fi
    sync "${aside%/*}"
    for k in "$aside"/*; do
        if [ -d "$k" ]; then keep "$k"; fi
    done
}
