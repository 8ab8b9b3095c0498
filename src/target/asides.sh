# What a run keeps: how, step, where, path, with tabs between.
# In: run (the run's folder).
for k in "$run"/*/aside/*; do
    [ -e "$k/kept" ] || continue
    read -r kind <"$k/kind"
    [ "$kind" != absent ] || continue
    step=${k%/aside/*}
    read -r how <"$k/how"
    IFS= read -r path <"$k/path"
    IFS= read -r stored <"$k/stored"
    [ "$how" != copy ] || stored=$k/data/it
    printf '%s\t%s\t%s\t%s\n' "$how" "${step##*/}" "$stored" "$path"
done
