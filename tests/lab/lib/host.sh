# A host: namespaces (mount, pid, net, uts, ipc, cgroup) over an overlay of a cached
# root.  Its folder $STATE/$HUB/NAME holds:
#   env        what it is, KEY=VALUE          known_hosts  its host keys
#   upper work root   the overlay (in disk/ when it has a disk of its own)
#   shared     what the host sees as /srv/lab: no part of its disk
#   etcd.img etcd     /var/lib/etcd of its own   containerd  the image store (kube)
#   boot_id init_pid console.log cut
# shellcheck shell=bash

HOSTS=$STATE/$HUB

host_field() { sed -n "/^$2=/{s///p;q}" "$HOSTS/$1/env" 2>/dev/null; }
host_need() { [ -e "$HOSTS/$1/env" ] || die "no host named $1 on hub $HUB; see: lab list"; }
host_names() { local d; for d in "$HOSTS"/*/; do [ ! -d "$d" ] || basename "$d"; done; }

# the machine's pid of the host's process 1; nothing when it does not run
host_init() {
  local outer; outer=$(cat "$HOSTS/$1/outer_pid" 2>/dev/null) || return 0
  { tr -d ' ' <"/proc/$outer/task/$outer/children"; } 2>/dev/null || true
}

usage_up="usage: lab up NAME light|kube IP [--hostname HN] [--etcd 3.4|3.5|none] [--mount-etcd[=SIZE]]
       [--disk SIZE | --lossy-disk SIZE] [--sshd-config FILE|-] [--user-shell SHELL] [--host-keys TYPE,...]"

host_up() {
  local name=${1:-} flavour=${2:-} ip=${3:-}
  [ $# -ge 3 ] || die "$usage_up"; shift 3
  local hostname=$name etcd=3.4 mount_etcd='' disk='' lossy='' sshd='' shell='' keys=ed25519
  while [ $# -gt 0 ]; do
    case $1 in
      --mount-etcd) mount_etcd=512M; shift; continue ;;
      --mount-etcd=*) mount_etcd=${1#*=}; shift; continue ;;
      --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}"; continue ;;
    esac
    [ $# -ge 2 ] || die "$1 wants a value. $usage_up"
    case $1 in
      --hostname) hostname=$2 ;; --etcd) etcd=$2 ;; --disk) disk=$2 ;; --lossy-disk) lossy=$2 ;; --sshd-config) sshd=$2 ;;
      --user-shell) shell=$2 ;; --host-keys) keys=$2 ;;
      *) die "unknown option $1. $usage_up" ;;
    esac; shift 2
  done
  [[ $name =~ ^[a-zA-Z0-9][a-zA-Z0-9_-]{0,40}$ ]] || die "a host's name is made of letters, digits, - and _: '$name'"
  [[ $flavour = light || $flavour = kube ]] || die "a host is light or kube, not '$flavour'"
  [[ $etcd = 3.4 || $etcd = 3.5 || $etcd = none ]] || die "--etcd is 3.4, 3.5 or none, not '$etcd'"
  valid_ip "$ip" || die "an address is within $NET.0.0/$PREFIX and not $GATEWAY: '$ip'"
  need ip:iproute2 ssh-keygen:openssh-client mount:mount
  [ -z "$mount_etcd" ] || need mkfs.ext4:e2fsprogs
  [ -z "$disk" ] || [ -z "$lossy" ] || die "a host has one disk: --disk or --lossy-disk"

  local base; part "root-$flavour"; base=$PART
  [ -z "$shell" ] || shell=$(in_root_shell "$base/root" "$shell")
  local store=''; if [ "$flavour" = kube ]; then part image-store; store=$PART; fi
  part keys; ln -sfn "$PART" "$CACHE/ssh"

  # one at a time: is the name free, is the address free, is there a hub
  local d=$HOSTS/$name other lock; mkdir -p "$STATE"
  exec {lock}>"$STATE/.lock"; flock "$lock"; mkdir -p "$HOSTS"
  [ ! -e "$d" ] || die "host $name exists already on hub $HUB; remove it with: lab down $name"
  other=$(grep -lxF "ip=$ip" "$HOSTS"/*/env 2>/dev/null | head -n1 || true)
  [ -z "$other" ] || die "address $ip is in use by host $(basename "$(dirname "$other")") on hub $HUB"
  mkdir "$d"; trap "host_down '$name'" EXIT       # a half-made host does not stay
  printf '%s\n' "name=$name" "flavour=$flavour" "ip=$ip" "hostname=$hostname" "base=$base" >"$d/env"
  hub_up
  exec {lock}>&-

  # where it writes
  local w=$d
  if [ -n "$disk" ]; then w=$d/disk; mkdir "$w"; mount -t tmpfs -o "size=$disk,mode=755" drctl-lab "$w"; fi
  if [ -n "$lossy" ]; then w=$d/disk; disk_make "$w" "$lossy"; fi
  mkdir "$d/root" "$d/shared" "$w/upper" "$w/work"
  printf '%s\n' "upper=$w/upper" "work=$w/work" >>"$d/env"
  if [ -n "$mount_etcd" ]; then
    truncate -s "$mount_etcd" "$d/etcd.img"; mkfs.ext4 -q -E lazy_itable_init=1 "$d/etcd.img"; mkdir "$d/etcd"
    mount -o loop "$d/etcd.img" "$d/etcd" 2>/dev/null ||      # where there are no loop devices
      { rm "$d/etcd.img"; mount -t tmpfs -o "size=$mount_etcd" drctl-lab "$d/etcd"; }
    chmod 700 "$d/etcd"
    echo "etcd=$d/etcd" >>"$d/env"
  fi
  if [ -n "$store" ]; then      # blobs and layers are never written to: hard links; the databases are copied
    cp -al "$store/store" "$d/containerd"
    (cd "$store/store" && find . -name '*.db' -exec cp --remove-destination {} "$d/containerd/{}" \;)
    mkdir "$d/sysctl"
    echo 1 >"$d/sysctl/overcommit_memory"; echo 10 >"$d/sysctl/panic"; echo 1 >"$d/sysctl/panic_on_oops"; echo 0 >"$d/sysctl/panic_on_oom"
  fi

  # what differs from host to host goes into the upper layer
  local u=$w/upper t p
  mkdir -p "$u/etc/ssh/sshd_config.d" "$u/usr/local/bin"
  echo "$hostname" >"$u/etc/hostname"
  printf '127.0.0.1 localhost\n%s %s\n' "$ip" "$hostname" >"$u/etc/hosts"
  : >"$u/etc/resolv.conf"
  for t in ${keys//,/ }; do
    ssh-keygen -q -t "$t" -N '' -C "$hostname" -f "$u/etc/ssh/ssh_host_${t}_key"
    ssh-keygen -q -s "$CACHE/ssh/host_ca" -I "$hostname" -h -n "$hostname,$ip" "$u/etc/ssh/ssh_host_${t}_key.pub" 2>/dev/null
    echo "$ip $(cut -d' ' -f1,2 "$u/etc/ssh/ssh_host_${t}_key.pub")" >>"$d/known_hosts"
  done
  install -m644 "$CACHE/ssh/user_ca.pub" "$u/etc/ssh/lab_user_ca.pub"
  case $sshd in '') ;; -) cat >"$u/etc/ssh/sshd_config.d/00-test.conf" ;; *) cat "$sshd" >"$u/etc/ssh/sshd_config.d/00-test.conf" ;; esac
  if [ "$etcd" != none ]; then
    for p in "$base/root/opt/etcd-$etcd"/*; do ln -s "/opt/etcd-$etcd/${p##*/}" "$u/usr/local/bin/"; done
  fi
  if [ -n "$shell" ]; then sed -E "s,^((ops|oppw|nosudo):.*:)[^:]*$,\1$shell," "$base/root/etc/passwd" >"$u/etc/passwd"; fi

  [ -z "$lossy" ] || sync -f "$w"
  net_up "$name" "$ip"
  host_start "$name"
  trap - EXIT
}

# the path, within the root, of a shell given by name or path
in_root_shell() {
  local s; for s in "$2" "/usr/bin/$2" "/bin/$2"; do
    if [[ $s = /* ]] && { [ -x "$1$s" ] || [ -L "$1$s" ]; }; then echo "$s"; return; fi
  done
  die "no shell $2 in the root; there are bash, dash, sh, tcsh, csh, fish"
}

# boots the host on what is there and returns when sshd answers
host_start() {
  local name=$1 d=$HOSTS/$1 ip outer i; ip=$(host_field "$name" ip)
  cat /proc/sys/kernel/random/uuid >"$d/boot_id"; chmod 444 "$d/boot_id"
  : >"$d/console.log"
  # in a session of its own, in the host's cgroups before anything is forked, no file of ours open
  setsid bash -c 'for fd in /proc/$$/fd/*; do fd=${fd##*/}; [ "$fd" -le 2 ] || [ "$fd" = 255 ] || eval "exec $fd>&-"; done
    . "$1/lib/cgroup.sh"; HUB=$2; cg_join "$3"; echo $$ >"$4/outer_pid.new"; mv "$4/outer_pid.new" "$4/outer_pid"; cd /
    exec nsenter --net="/run/netns/$HUB-$3" -- unshare --mount --uts --ipc --pid --cgroup --fork --kill-child "$1/lib/init" "$4"' \
    drctl-lab "$LAB" "$HUB" "$name" "$d" </dev/null >"$d/console.log" 2>&1 &
  outer=$!; disown
  for i in {1..600}; do
    if [ -e "$d/cut" ]; then [ "$i" -lt 20 ] || return 0     # nobody can see it
    elif in_hub bash -c "exec 3<>/dev/tcp/$ip/22 && read -t 2 -r l <&3 && [[ \$l = SSH-* || -n \$l ]]" 2>/dev/null; then return 0; fi
    [ -e "/proc/$outer" ] || { tail -n 20 "$d/console.log" >&2; die "host $name ended at once"; }
    sleep 0.03
  done
  tail -n 20 "$d/console.log" >&2; die "host $name: no sshd after 20 s"
}

host_kill() {       # all its processes, at once, as a power cut does
  local name=$1 init outer i; init=$(host_init "$name"); outer=$(cat "$HOSTS/$name/outer_pid" 2>/dev/null || true)
  [ -z "$init" ] || kill -KILL "$init" 2>/dev/null || true       # the pid namespace dies with its process 1
  # process 1 of the machine may reap late, a zombie is as good as gone: the cgroup tells
  for i in {1..300}; do
    if cg_empty "$name" && { [ -z "$init" ] || [ ! -e "/proc/$init/ns/net" ]; }; then break; fi
    # caught before it had forked: the shell around it
    [ "$i" != 50 ] || [ -z "$outer" ] || grep -qs "$HUB/$name" "/proc/$outer/cgroup" && kill -KILL "$outer" 2>/dev/null || true
    sleep 0.02
  done
  rm -f "$HOSTS/$name/outer_pid"
}

# A lossy disk goes first: what a dying process, or an unmounted overlay, would still write is lost like the rest. The
# network is gone by then, since nobody hears a host complain about the disk that it loses with its power.
host_power_off() {
  local name=$1 d=$HOSTS/$1
  if [ ! -e "$d/disk.img" ]; then host_kill "$name"; return; fi
  need nft:nftables
  [ -e "$d/cut" ] || net_cut "$name" "$(host_field "$name" ip)"
  disk_off "$d/disk"
  host_kill "$name"
  disk_on "$d/disk"
  [ -e "$d/cut" ] || net_mend "$name"
}

host_down() {
  local name=$1 d=$HOSTS/$1 ip m; [ -e "$d" ] || return 0
  ip=$(host_field "$name" ip)
  host_kill "$name"
  [ ! -e "$d/cut" ] || net_mend "$name"
  [ -z "$ip" ] || net_down "$name" "$ip"
  cg_rm "$name"
  for m in etcd disk; do if [ -d "$d/$m" ]; then umount "$d/$m" 2>/dev/null || umount -l "$d/$m" 2>/dev/null || true; fi; done
  rm -rf --one-file-system "$d"
}
