# Writes `size mtime ./name` for each file of the folder; what is no file is left out.
LC_ALL=C
export LC_ALL
if [ ! -r . ]; then
    echo "the user $(id -un 2>/dev/null || id -u) may not list $folder" >&2
    exit 1
fi
# Without an answer here the listing would be empty, as if there were no snapshots.
if ! said=$(stat -L -c '%s' . 2>&1); then
    printf '%s: %s\n' 'its `stat` knows no `-L -c FORMAT`, which those of GNU and busybox do' "$said" >&2
    exit 1
fi
newline='
'
told() {
    [ $# -eq 0 ] || stat -L -c '%s %Y %n' "$@"
}
set --
for name in * .[!.]*; do
    case $name in *"$newline"*) continue ;; esac
    [ -f "./$name" ] || continue
    set -- "$@" "./$name"
    if [ $# -ge 200 ]; then
        # A file that vanished meanwhile is told on standard error and is no failure.
        told "$@" || :
        set --
    fi
done
told "$@" || :
