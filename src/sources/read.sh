# Writes ./$name, when it is no larger than $limit bytes; ends with $absent when there is no such file.
if [ ! -e "./$name" ] && [ ! -L "./$name" ]; then
    folder=./$name
    while folder=${folder%/*} && [ "$folder" != . ]; do
        # What nobody may look into looks as if it were not there.
        if [ -d "$folder" ] && [ ! -x "$folder" ]; then
            echo "the user $(id -un 2>/dev/null || id -u) may not enter ${folder#./}, where $name would be" >&2
            exit 1
        fi
    done
    exit "$absent"
fi
size=$(stat -L -c %s "./$name") || exit 1
if [ "$size" -gt "$limit" ]; then
    echo "$name has $size bytes; $limit are allowed" >&2
    exit 1
fi
exec cat "./$name"
