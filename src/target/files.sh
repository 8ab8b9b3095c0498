# What the scripts that place files share.
digest() {
    if command -v openssl >/dev/null; then openssl dgst -sha256 -r <"$1" | cut -d ' ' -f 1
    else sha256sum <"$1" | cut -d ' ' -f 1; fi
}
refuse() { echo "$1" >&2; exit 76; }
# Makes missing folders above a path; refuses a way through links that root did not make.
way_to() {
    way=
    set -f
    old_ifs=$IFS
    IFS=/
    for piece in ${1%/*}; do
        [ -n "$piece" ] || continue
        way=$way/$piece
        if [ -L "$way" ] && [ "$(stat -c %u -- "$way")" != 0 ]; then
            refuse "$way is a symbolic link that root did not make"
        fi
        if [ ! -d "$way" ]; then
            (umask 022 && mkdir -- "$way")
            echo "created $way"
        fi
    done
    IFS=$old_ifs
    set +f
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
