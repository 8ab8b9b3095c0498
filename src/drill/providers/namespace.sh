#!/bin/sh
# A throwaway target in namespaces of this machine, over an overlay of a root folder.  It has an address of its own and a
# default route, and no link to anything: its one cable ends in itself.
#
#   namespace.sh up|down|reboot FOLDER      FOLDER/env says what; see `write` in namespace.rs
#   namespace.sh enter|init FOLDER          what waits outside, and process 1 inside
set -eu
umask 022
do=$1 dir=$2
value() { sed -n "/^$1=/{s///p;q;}" "$dir/env" 2>/dev/null; }
die() { echo "$*" >&2; exit 1; }

# ---- one cgroup in every hierarchy: two kubelets must not meet, and what runs in it can be found
cg_roots() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; return; fi
  for c in /sys/fs/cgroup/*/; do [ -L "${c%/}" ] || echo "${c%/}"; done
}
cg_join() {
  for c in $(cg_roots); do
    mkdir -p "$c/$group" 2>/dev/null || continue
    if [ -e "$c/cgroup.clone_children" ] && [ -e "$c/$group/cpuset.cpus" ]; then   # v1: empty sets admit nobody
      for f in cpuset.cpus cpuset.mems; do cat "$c/$f" >"$c/$group/$f"; done
      echo 1 >"$c/$group/cgroup.clone_children"
    fi
    echo $$ >"$c/$group/cgroup.procs" 2>/dev/null || true
  done
}
cg_busy() {
  for c in $(cg_roots); do
    [ ! -d "$c/$group" ] || [ -z "$(find "$c/$group" -name cgroup.procs -exec cat {} + 2>/dev/null)" ] || return 0
  done
  return 1
}
cg_leave() {    # the kernel lets go late
  n=0
  while [ $n -lt 100 ]; do
    left=
    for c in $(cg_roots); do
      [ ! -d "$c/$group" ] || find "$c/$group" -depth -type d -exec rmdir {} + 2>/dev/null || left=1
    done
    [ -n "$left" ] || return 0
    n=$((n + 1)); sleep 0.05
  done
  die "the cgroups $group cannot be removed"
}

# ---- processes: the one outside that waits, and process 1 inside, which takes all others with it
# A pid may have become a stranger's: it is ours only while it is in our cgroup.
is_ours() { grep -qs "/$group\(/\|\$\)" "/proc/$1/cgroup"; }
kill_all() {
  n=0
  while cg_busy; do
    for c in $(cg_roots); do
      [ ! -d "$c/$group" ] || for p in $(find "$c/$group" -name cgroup.procs -exec cat {} + 2>/dev/null); do
        [ "$p" = 0 ] || ! is_ours "$p" || kill -KILL "$p" 2>/dev/null || true
      done
    done
    n=$((n + 1)); [ $n -lt 200 ] || die "processes in the cgroups $group cannot be ended"
    sleep 0.05
  done
  rm -f "$dir/outer" "$dir/init"
}
start() {
  cat /proc/sys/kernel/random/uuid >"$dir/boot_id.new"; mv "$dir/boot_id.new" "$dir/boot_id"; chmod 444 "$dir/boot_id"
  setsid sh "$0" enter "$dir" </dev/null >"$dir/console.log" 2>&1 8>&- &
  n=0
  until [ -s "$dir/outer" ] && outer=$(cat "$dir/outer") && init=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null) &&
      [ -n "$init" ] && [ -e "$dir/ready" ]; do
    if [ -s "$dir/outer" ] && ! is_ours "$(cat "$dir/outer")"; then
      tail -n 20 "$dir/console.log" >&2; kill -KILL "$(cat "$dir/outer")" 2>/dev/null || true
      die "process 1 ended at once, or is in no cgroup of its own"
    fi
    n=$((n + 1)); [ $n -lt 400 ] || { tail -n 20 "$dir/console.log" >&2; die "process 1 did not begin within 20 s"; }
    sleep 0.05
  done
  echo "${init%% *}" >"$dir/init"
  # Where the link finds the network, whichever start this is.
  ln -sfn "/proc/${init%% *}/ns/net" "$dir/network"
}

enter() {       # into the cgroups before anything is forked
  cg_join
  echo $$ >"$dir/outer.new"; mv "$dir/outer.new" "$dir/outer"; cd /
  exec unshare --mount --net --uts --ipc --pid --cgroup --fork --kill-child sh "$0" init "$dir"
}

up() {
  # From here on whoever takes the target away finds this script, too: its drctl may be dead.
  cg_join
  [ "$(id -u)" = 0 ] || die "namespaces, mounts and cgroups are for root: run drctl as root, or use another provider"
  for p in unshare ip mount setsid flock; do command -v $p >/dev/null || die "the program \`$p\` is not on this machine (util-linux, iproute2)"; done
  root=$(value root)
  [ -x "$root/usr/sbin/sshd" ] || die "there is no /usr/sbin/sshd in $root: install openssh-server there"
  mkdir -p "$dir/root" "$dir/disk"
  # The upper layer cannot lie on an overlay; then memory backs it.
  mkdir -p "$dir/disk/upper" "$dir/disk/work"
  if ! mount -t overlay overlay -o "lowerdir=$root,upperdir=$dir/disk/upper,workdir=$dir/disk/work" "$dir/root" 2>/dev/null; then
    mount -t tmpfs -o mode=755 tmpfs "$dir/disk"; mkdir "$dir/disk/upper" "$dir/disk/work"
  else umount "$dir/root"; fi
  u=$dir/disk/upper
  mkdir -p "$u/etc/ssh" "$u/root/.ssh"; chmod 700 "$u/root/.ssh" "$u/root"
  value hostname >"$u/etc/hostname"
  { echo "127.0.0.1 localhost"; sed -n 's/^hosts=//p' "$dir/env"; } >"$u/etc/hosts"
  : >"$u/etc/resolv.conf"
  install -m 600 "$dir/authorized_keys" "$u/root/.ssh/authorized_keys"
  install -m 600 "$dir/host_key" "$u/etc/ssh/ssh_host_ed25519_key"
  cat >"$u/etc/ssh/drctl_drill.conf" <<CONF
ListenAddress 127.0.0.1:$(value port)
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile none
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile .ssh/authorized_keys
UsePAM yes
UseDNS no
MaxSessions 64
CONF
  # What must not lie on the overlay (an image store), or is too large for it: a copy of its own.
  number=0
  sed -n 's/^copy=//p' "$dir/env" | while IFS='	' read -r from to; do
    number=$((number + 1))
    [ -d "$from" ] || die "the folder $from, which is to be copied to $to, is not there"
    mkdir -p "$dir/copies"; cp -a --reflink=auto "$from" "$dir/copies/$number"
    printf '%s\t%s\n' "$dir/copies/$number" "$to" >>"$dir/binds"
  done
  mkdir -p "$dir/sysctl"
  for s in overcommit_memory:1 panic:10 panic_on_oops:1 panic_on_oom:0; do echo "${s#*:}" >"$dir/sysctl/${s%:*}"; done
  start
}

down() {
  kill_all; cg_leave
  for m in root disk; do while mountpoint -q "$dir/$m" 2>/dev/null; do umount "$dir/$m" || umount -l "$dir/$m"; done; done
  rm -rf --one-file-system "$dir/disk" "$dir/copies" "$dir/root" "$dir/sysctl"
  rm -f "$dir/binds" "$dir/boot_id" "$dir/ready" "$dir/host_key" "$dir/authorized_keys" "$dir/network" "$dir/env"
}

init() {
  mount --make-rprivate /
  root=$dir/root
  mount -t overlay overlay -o "lowerdir=$(value root),upperdir=$dir/disk/upper,workdir=$dir/disk/work" "$root"
  # ---- the network: eth0's other end is here too, so that what is sent is heard by nobody else
  ip link set lo up
  ip link add eth0 type veth peer name void0
  ip link set void0 up; ip link set eth0 up
  sed -n 's/^address=//p' "$dir/env" | while read -r a; do ip addr add "$a" dev eth0 nodad 2>/dev/null || ip addr add "$a" dev eth0; done
  gateway=$(value gateway)
  if [ -n "$gateway" ]; then
    # It has a neighbour's entry and drops what it gets: a connection to the outside is silence, not an error.
    ip neigh replace "$gateway" lladdr "$(ip -o link show void0 | sed 's,.*link/ether \([^ ]*\).*,\1,')" dev eth0 nud permanent
    ip route add default via "$gateway" dev eth0 onlink
  fi
  # The kubelet asks a cloud's metadata address, and would wait for it.
  ip route add unreachable 169.254.0.0/16 2>/dev/null || true
  echo 1 >/proc/sys/net/ipv4/ip_forward
  cd "$root"
  mount -t proc proc proc
  mount -t sysfs sysfs sys
  mount -t tmpfs -o mode=755,nosuid tmpfs dev
  for n in null:3 zero:5 full:7 random:8 urandom:9 kmsg:11; do mknod -m 666 "dev/${n%:*}" c 1 "${n#*:}"; done
  mknod -m 666 dev/tty c 5 0; chmod 644 dev/kmsg
  mkdir dev/pts dev/shm dev/mqueue
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
  mount -t tmpfs -o mode=1777 tmpfs dev/shm
  mount -t mqueue mqueue dev/mqueue
  ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
  ln -s /proc/self/fd/0 dev/stdin; ln -s /proc/self/fd/1 dev/stdout; ln -s /proc/self/fd/2 dev/stderr
  mount -t tmpfs -o mode=755 tmpfs run
  mkdir run/sshd run/lock
  # A mount: systemd removes the folder when its own sshd fails, and ours needs it.
  mount -t tmpfs -o mode=755 tmpfs run/sshd
  hostname "$(value hostname)"
  # A boot id of its own, so that a reboot shows.
  mount --bind "$dir/boot_id" proc/sys/kernel/random/boot_id
  # The kubelet sets these, and they are the machine's.
  for s in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops; do
    mount --bind "$dir/sysctl/${s#*/}" "proc/sys/$s" 2>/dev/null || true
  done
  if [ -e "$dir/binds" ]; then
    while IFS='	' read -r from to; do mkdir -p "$root$to"; mount --bind "$from" "$root$to"; done <"$dir/binds"
  fi
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then mount -t cgroup2 cgroup2 sys/fs/cgroup
  else
    mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
    for c in cpu cpuacct cpuset memory devices freezer blkio pids hugetlb net_cls perf_event net_prio; do
      [ -d "/sys/fs/cgroup/$c" ] || continue
      mkdir "sys/fs/cgroup/$c"; mount -t cgroup -o "$c" cgroup "sys/fs/cgroup/$c" || rmdir "sys/fs/cgroup/$c"
    done
    mkdir sys/fs/cgroup/systemd; mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd 2>/dev/null || rmdir sys/fs/cgroup/systemd
  fi
  : >"$dir/ready"
  mkdir .old; pivot_root . .old; cd /
  umount -l /.old; rmdir /.old
  mount --make-rshared /
  set -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=drctl-drill TERM=dumb
  "$@" /usr/sbin/sshd -f /etc/ssh/drctl_drill.conf
  if [ -x /lib/systemd/systemd ]; then exec "$@" /lib/systemd/systemd --system --log-target=console --show-status=no; fi
  exec "$@" sh -c 'while :; do sleep 3600 & wait $!; done'
}

group=$(value group)
[ -n "$group" ] || { [ "$do" = down ] && exit 0; die "there is no target in $dir (any more)"; }
# One at a time: an `up` whose drctl was killed goes on by itself until it is ended here, or waited for.
if [ "$do" = down ]; then kill_all; fi
if [ "$do" != init ] && [ "$do" != enter ]; then
  exec 8>"$dir/script.lock"; flock 8
  [ -e "$dir/env" ] || { [ "$do" = down ] && exit 0; die "the target in $dir was taken away"; }
fi
case $do in
  up) up ;;
  down) down ;;
  reboot) rm -f "$dir/ready"; kill_all; start ;;
  enter) enter ;;
  init) init ;;
esac
