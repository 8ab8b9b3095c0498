# Gathers what is to be known of a host before anything is done: lines of a key and values, tabs between.
# In: home, and the paths of interest as arguments.
t=$(printf '\t')
say() {
    key=$1
    shift
    printf '%s' "$key"
    for value; do printf '\t%s' "$(printf '%s' "$value" | head -n 1 | tr -d '\t\r')"; done
    printf '\n'
}
lines() { while IFS= read -r line; do say "$1" "$line"; done; }
say clock "$(date +%s.%N)"
say hostname "$(hostname 2>/dev/null || cat /proc/sys/kernel/hostname)"
say boot_id "$(cat /proc/sys/kernel/random/boot_id)"
say uid "$(id -u)"
say kernel "$(uname -r)"
say machine "$(uname -m)"
say os "$(. /etc/os-release 2>/dev/null && printf '%s' "$PRETTY_NAME")"
if [ -d /run/systemd/system ]; then say systemd yes; else say systemd no; fi
version() {
    case $1 in
    kubeadm) kubeadm version -o short ;;
    kubelet | docker | ctr | podman | systemctl | setsid | flock | sha256sum | zstd) "$1" --version ;;
    crictl) crictl --version ;;
    etcdctl) ETCDCTL_API=3 etcdctl version ;;
    *) "$1" version ;;
    esac
}
export ETCDCTL_API=3
for tool in etcdutl etcdctl kubeadm kubelet docker ctr podman crictl systemctl setsid flock openssl sha256sum zstd; do
    at=$(command -v "$tool") || continue
    restores=no
    bumps=no
    case $tool in
    etcdutl | etcdctl)
        help=$(timeout 10 "$tool" snapshot restore --help 2>&1)
        case $help in *--data-dir*) restores=yes ;; esac
        case $help in *--bump-revision*) bumps=yes ;; esac
        ;;
    esac
    said=$(version "$tool" 2>/dev/null </dev/null | grep -E '[0-9]' | head -n 1)
    say tool "$tool" "$at" "$said" "$restores" "$bumps"
done
for tool in awk cksum cut find flock grep mountpoint readlink sed setsid sha256sum sort stat tail tee timeout touch; do
    command -v "$tool" >/dev/null || say lacks "$tool"
done
sync -f / 2>/dev/null || say lacks "sync -f (coreutils 8.24 or later)"
if command -v systemctl >/dev/null; then
    say kubelet "$(systemctl is-active kubelet 2>/dev/null)" "$(systemctl is-enabled kubelet 2>/dev/null)"
fi
if command -v ip >/dev/null; then
    ip -o addr show scope global 2>/dev/null | awk '{ print $2 "\t" $4 }' |
        while IFS=$t read -r device address; do say address "$device" "$address"; done
    say route "$(ip -o -4 route show default 2>/dev/null)"
else
    for address in $(hostname -I 2>/dev/null); do say address - "$address"; done
fi
for table in /proc/net/tcp /proc/net/tcp6; do
    if [ -r "$table" ]; then awk '$4 == "0A" { print $2 }' "$table" | lines listens; fi
done
etcd() { grep -E 'etcd' | head -n 50; }
timeout 10 ctr -n k8s.io images ls -q 2>/dev/null </dev/null | etcd | lines image-containerd
timeout 10 docker images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null </dev/null | etcd | lines image-docker
timeout 10 podman images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null </dev/null | etcd | lines image-podman
if [ -L "$home" ]; then say home unsafe "is a symbolic link"
elif [ ! -e "$home" ]; then say home absent
elif [ ! -d "$home" ]; then say home unsafe "is not a folder"
elif [ "$(stat -c %u -- "$home")" != 0 ]; then say home unsafe "belongs to uid $(stat -c %u -- "$home")"
else
    case $(stat -c %A -- "$home") in
    ?????w* | ????????w*) say home unsafe "can be written to by others than root" ;;
    *)
        odd=$(find "$home" -mindepth 1 -maxdepth 1 \( -type l -o ! -user 0 \) | head -n 1)
        if [ -n "$odd" ]; then say home unsafe "holds a symbolic link, or what is not root's: $odd"
        else say home safe; fi
        ;;
    esac
fi
n=0
for path; do
    if [ -L "$path" ]; then kind=symlink
    elif [ ! -e "$path" ]; then kind=absent
    elif mountpoint -q -- "$path"; then kind=mount
    elif [ -d "$path" ]; then kind=folder
    elif [ -f "$path" ]; then kind=file
    else kind=other; fi
    empty=yes
    if [ -d "$path" ]; then
        if [ -n "$(find "$path/" -mindepth 1 -maxdepth 1 ! -name lost+found ! -name '.drctl-*' 2>/dev/null | head -n 1)" ]; then
            empty=no
        fi
    elif [ -s "$path" ]; then empty=no; fi
    above=$path
    until [ -e "$above" ] || [ -z "$above" ]; do above=${above%/*}; done
    say path "$n" "$kind" "$empty" "$(readlink -f -- "$path" 2>/dev/null)" \
        "$(df -Pk -- "${above:-/}" 2>/dev/null | awk 'NR == 2 { print $4 }')" "$(stat -L -c %d -- "${above:-/}" 2>/dev/null)"
    n=$((n + 1))
done
say end ok
