# Removes a run's folder, when nothing is kept in it any more, and its name from the runs that it came after.
# In: run (the run's folder).
set -e
for kept in "$run"/*/aside; do
    if [ -e "$kept" ]; then echo "$kept is not put back" >&2; exit 1; fi
done
for later in "${run%/*}"/*/later; do
    if [ -e "$later" ] && [ "$(cat -- "$later")" = "${run##*/}" ]; then rm -f -- "$later"; fi
done
rm -rf -- "$run"
sync -f "${run%/*}"
