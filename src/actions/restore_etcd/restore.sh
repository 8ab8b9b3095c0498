# Restores into a new folder on the same file system, looks at what came out, and renames it into place.
# In: data (the data folder), stage, mounted (1: data is a mount point), marker. `restore` runs the program.
set -eu
umask 077
if [ "$mounted" = 1 ]; then there=$data/member; else there=$data; fi
if [ -e "$there" ] || [ -L "$there" ]; then
    if [ ! -d "$there" ] || [ -n "$(find "$there" -mindepth 1 -maxdepth 1 | head -n 1)" ]; then
        echo "there is something at $there again, after it was set aside" >&2
        exit 1
    fi
fi
(umask 022 && mkdir -p -- "${stage%/*}")
rm -rf -- "$stage"
mkdir -- "$stage"
restore
# A restore that fails half way leaves a folder that etcd starts on, and loses every write.
require() {
    if [ ! -s "$1" ]; then
        echo "the restored folder has no $2" >&2
        exit 1
    fi
}
for file in "$stage"/new/member/wal/*.wal; do require "$file" 'member/wal/*.wal'; done
for file in "$stage"/new/member/snap/*.snap; do require "$file" 'member/snap/*.snap'; done
require "$stage/new/member/snap/db" member/snap/db
chown -R root:root -- "$stage/new"
find "$stage/new" -type d -exec chmod 0700 {} +
sync -f "$stage/new"
stat -c %i -- "$stage/new/member" >"$marker"
sync "$marker"
if [ "$mounted" = 1 ]; then
    mv -T -- "$stage/new/member" "$data/member"
    chmod 0700 "$data"
    sync "$data"
else
    mv -T -- "$stage/new" "$data"
    sync "${data%/*}"
fi
rm -rf -- "$stage"
