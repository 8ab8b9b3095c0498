# Writes ./$name from byte $from (the first is 1), if it still is what was listed.
found=$(stat -L -c '%s %Y' "./$name") || exit 1
if [ "$found" != "$expected" ]; then
    echo 'it changed since it was listed' >&2
    exit 1
fi
exec tail -c "+$from" "./$name"
