# A disk of its own on which a power cut is a real one: `disk_off` drops all that was not synced, in the midst of
# whatever goes on; `disk_on` brings up what the platter held, through the file system's own recovery.
# A disk is a mounted folder DIR, and its image beside it, DIR.img.
# shellcheck shell=bash

disk_make() {   # DIR SIZE
  need mkfs.ext4:e2fsprogs
  truncate -s "$2" "$1.img"
  mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0 "$1.img"
  mkdir -p "$1"
  mount -o loop "$1.img" "$1"
}

# EXT4_IOC_SHUTDOWN without flushing the log: from here on every write fails, and none before it is flushed.
disk_off() {    # DIR
  perl -e 'open my $d, "<", $ARGV[0] or die "$ARGV[0]: $!\n"; my $how = pack "L", 2;
    ioctl $d, 0x8004587D, $how or die "$ARGV[0] cannot be shut down: $!\n"' "$1"
}

disk_on() {     # DIR
  local i
  umount "$1"
  # The old file system may outlive its folder for a moment; two at once on one image must not be.
  for i in {1..250}; do
    [ -n "$(losetup -n -j "$1.img")" ] || { mount -o loop "$1.img" "$1"; return; }
    sleep 0.02
  done
  die "the old file system on $1.img is still in use after 5 s"
}

disk_drop() {   # DIR
  umount "$1" 2>/dev/null || umount -l "$1" 2>/dev/null || true
  rm -f "$1.img"
}
