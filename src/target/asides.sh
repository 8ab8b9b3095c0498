# What a run keeps, two lines for each path: how, whether it is there, step and path, with tabs between; then where it is
# kept, or nothing when there was nothing at that path. What is back at its place already is not told.
# In: run (the run's folder); uses `read_entry` and `is_gone`.
for k in "$run"/*/aside/*; do
    if [ ! -e "$k/kept" ] || ! read_entry "$k"; then continue; fi
    step=${k%/aside/*}
    state=there
    if [ -z "$original" ]; then
        [ -e "$path" ] || [ -L "$path" ] || continue
    elif is_gone; then
        state=gone
    elif [ ! -e "$original" ] && [ ! -L "$original" ]; then
        continue
    fi
    printf '%s\t%s\t%s\t%s\n%s\n' "$how" "$state" "${step##*/}" "$path" "$original"
done
