# How much of a large file is here already.
# In: part (the file in drctl's folder), to, mode, owner, size, sha.
set -e
if [ -d "$to" ] && [ ! -L "$to" ]; then refuse "$to is a folder"; fi
if same; then echo same; exit 0; fi
mkdir -p -- "${part%/*}"
[ ! -L "$part" ] || rm -f -- "$part"
if [ -e "$part" ]; then stat -c 'have %s' -- "$part"; else echo 'have 0'; fi
