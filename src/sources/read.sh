# Writes $folder/$name, when it is no larger than $limit bytes; ends with $absent when there is no such file.
cd "$folder" || exit 1
[ -e "./$name" ] || exit "$absent"
size=$(stat -L -c %s "./$name") || exit 1
if [ "$size" -gt "$limit" ]; then
    echo "$name has $size bytes; $limit are allowed" >&2
    exit 1
fi
exec cat "./$name"
