# What the scripts share that change something at a path: the way there must be root's alone to lay.
refuse() {
    echo "$1" >&2
    exit 76
}
# Refuses a way through links that root did not make, or through folders in which everybody may rename; with `links`, the
# former only: what a step opened to everybody can still be put back.
safe_way() {
    way=
    set -f
    old_ifs=$IFS
    IFS=/
    for piece in ${1%/*}; do
        [ -n "$piece" ] || continue
        way=$way/$piece
        if [ -L "$way" ] && [ "$(stat -c %u -- "$way")" != 0 ]; then
            refuse "$way is a symbolic link that uid $(stat -c %u -- "$way") made: who made it could lead $1 anywhere. Remove it, or make it anew as root"
        fi
        case ${2:-}$(stat -L -c %A -- "$way" 2>/dev/null) in
        d???????w[!tT]) refuse "$way can be written to by everybody: anybody could lead $1 elsewhere. Take that right away: chmod o-w" ;;
        esac
    done
    IFS=$old_ifs
    set +f
    # Where root's own links lead must be as safe.
    real=$(readlink -m -- "${1%/*}/")
    [ "${real%/}/" = "${1%/*}/" ] || safe_way "${real%/}/${1##*/}" "${2:-}"
}
