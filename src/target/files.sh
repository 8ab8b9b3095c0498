# What the scripts that place files share.
digest() {
    if command -v openssl >/dev/null; then openssl dgst -sha256 -r <"$1" | cut -d ' ' -f 1
    else sha256sum <"$1" | cut -d ' ' -f 1; fi
}
# Makes missing folders.
make_folder() {
    [ -n "$1" ] && [ ! -d "$1" ] || return 0
    if [ -e "$1" ] || [ -L "$1" ]; then refuse "$1 is in the way: it is neither a folder nor a link to one"; fi
    make_folder "${1%/*}"
    (umask 022 && mkdir -- "$1")
    echo "created $1"
}
way_to() {
    safe_way "$1"
    make_folder "${1%/*}"
}
same() {
    [ -f "$to" ] && [ ! -L "$to" ] || return 1
    case "$(stat -c '|%a %U:%G|%a %u:%g|%a %U:%g|%a %u:%G|' -- "$to")" in
    *"|$mode $owner|"*) ;;
    *) return 1 ;;
    esac
    [ "$(stat -c %s -- "$to")" = "$size" ] && [ "$(digest "$to")" = "$sha" ]
}
# Opens a new file next to the destination as fd 9: right mode and owner before its first byte.
open_new() {
    rm -rf -- "$new"
    set -C
    exec 9>"$new"
    set +C
    # `set -C` bears with pipes and devices.
    case $(stat -L -c '%F %h %u' /proc/self/fd/9) in
    'regular empty file 1 0') ;;
    *) refuse "somebody else made $new at the same time. See who can write to ${new%/*}, and run again" ;;
    esac
    chown -- "$owner" /proc/self/fd/9
    chmod -- "$mode" /proc/self/fd/9
}
# Checks what was written, and gives it its name.
put_new() {
    found=$(digest "$new")
    if [ "$found" != "$sha" ]; then
        rm -f -- "$new"
        echo "digest $found"
        exit 0
    fi
    sync "$new"
    # An earlier try that was thought lost may have come this far meanwhile.
    mv -fT -- "$new" "$to" || same
    sync "${to%/*}"
}
