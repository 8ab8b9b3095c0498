# Removes a run's folder, when nothing is kept in it any more, and its name from the runs that it came after.
# In: run (the run's folder), later (the file in a run's folder that names the one after it).
set -e
for kept in "$run"/*/aside; do
    if [ -e "$kept" ]; then echo "$kept is not put back" >&2; exit 1; fi
done
for after in "${run%/*}"/*/"$later"; do
    if [ -e "$after" ] && [ "$(cat -- "$after")" = "${run##*/}" ]; then rm -f -- "$after"; fi
done
rm -rf -- "$run"
sync -f "${run%/*}"
