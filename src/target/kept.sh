# What was written down of the paths that a step keeps, and what of them is gone: shared by the scripts that look at it, list
# it and put it back.
# In: aside (the step's folder of kept things).
# How many paths were written down. Before 0.1.0 that was not kept: as many as are there.
entries() {
    if [ -e "$aside/entries" ]; then cat -- "$aside/entries"
    else find "$aside" -mindepth 1 -maxdepth 1 -type d | wc -l; fi
}
# Sets what was written down of a path, and `original`: where what was there is kept, or nothing when nothing was there.
read_entry() {
    k=$1
    {
        read -r how <"$k/how" && read -r kind <"$k/kind" &&
            IFS= read -r path <"$k/path" && IFS= read -r stored <"$k/stored"
    } 2>/dev/null || return 1
    case $how:$kind in
    *:absent) original= ;;
    copy:*) original=$k/data/it ;;
    *) original=$stored ;;
    esac
}
# Whether somebody removed the original. Before it is kept it is at its path, and what was moved is there again once it is
# `back`; into a mount point that was `emptied` its entries come back one after the other.
is_gone() {
    [ -e "$k/kept" ] && [ -n "$original" ] || return 1
    if [ "$how" = move ] && { [ -e "$k/back" ] || [ -e "$k/emptied" ]; }; then return 1; fi
    [ ! -e "$original" ] && [ ! -L "$original" ]
}
tell_gone() {
    n=$(entries)
    i=0
    while [ "$i" -lt "$n" ]; do
        i=$((i + 1))
        if ! read_entry "$aside/$i"; then echo "$aside/$i, which told of a path what it was, is gone"
        elif is_gone; then echo "$path cannot be put back: $original, where it was kept, is gone"; fi
    done
}
