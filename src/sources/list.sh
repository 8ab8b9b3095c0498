# Writes `size mtime ./name` for each file of $folder; what is no file is left out.
LC_ALL=C
export LC_ALL
cd "$folder" || exit 1
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
