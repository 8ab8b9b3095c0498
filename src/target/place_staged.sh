# Gives a file that came over whole its place.
# In: part, to, new, mode, owner, size, sha, busy (a lock file).
set -e
exec 7>>"$busy"
flock -w 3000 7
if same; then rm -f -- "$part"; echo same; exit 0; fi
found=$(digest "$part")
if [ "$found" != "$sha" ]; then rm -f -- "$part"; echo "digest $found"; exit 0; fi
way_to "$to"
rm -rf -- "$new"
# On the same file system the bytes stay where they are.
if ln -T -- "$part" "$new" 2>/dev/null; then
    chown -- "$owner" "$new"
    chmod -- "$mode" "$new"
else
    open_new
    cat -- "$part" >&9
    exec 9>&-
fi
put_new
rm -f -- "$part"
echo placed
