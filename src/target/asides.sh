# What a run keeps, two lines for each path: how, step and path, with tabs between; then where it is kept, or nothing
# when there was nothing at that path. What is back at its place already is not told.
# In: run (the run's folder).
for k in "$run"/*/aside/*; do
    [ -e "$k/kept" ] || continue
    step=${k%/aside/*}
    read -r kind <"$k/kind"
    read -r how <"$k/how"
    IFS= read -r path <"$k/path"
    IFS= read -r stored <"$k/stored"
    [ "$how" != copy ] || stored=$k/data/it
    if [ "$kind" = absent ]; then
        stored=
        [ -e "$path" ] || [ -L "$path" ] || continue
    elif [ ! -e "$stored" ] && [ ! -L "$stored" ]; then
        continue
    fi
    printf '%s\t%s\t%s\n%s\n' "$how" "${step##*/}" "$path" "$stored"
done
