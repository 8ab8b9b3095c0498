# What both kinds of root folder have in common: a small Debian bookworm with sshd,
# the users, and etcd's versions side by side.  Sourced by build/root-*.
# shellcheck shell=bash

root_packages=openssh-server,sudo,tcsh,fish,iproute2,procps,bash,coreutils,findutils,grep,sed,tar,gzip,ca-certificates

make_root() {   # FOLDER MORE,PACKAGES
  local root=$1
  need mmdebstrap:mmdebstrap
  # a small tree: no documentation, no package lists, nothing started
  mmdebstrap --quiet --mode=root --variant=minbase --include="$root_packages${2:+,$2}" \
    --aptopt='Apt::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --setup-hook='mkdir -p "$1/usr/sbin"; printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/usr/sbin/policy-rc.d' \
    bookworm "$root" "$(mirror)"

  # sshd: keys only, no SFTP (a target may have none, so nothing may depend on it);
  # a test's own lines come first, and the first value of a keyword wins
  rm -f "$root"/etc/ssh/ssh_host_*
  cat >"$root/etc/ssh/sshd_config" <<'CONF'
Include /etc/ssh/sshd_config.d/*.conf
AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/lab_authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
UseDNS no
PrintMotd no
MaxStartups 200
CONF
  part keys; install -m644 "$PART/authorized_keys" "$root/etc/ssh/lab_authorized_keys"

  # users: ops has sudo without a password, oppw with one, nosudo none at all
  local user
  for user in ops oppw nosudo; do chroot "$root" useradd -m -s /bin/bash $user; done
  (printf 'oppw:'; cat "$PART/oppw.password"; echo) | chroot "$root" chpasswd
  printf 'ops ALL=(ALL:ALL) NOPASSWD: ALL\noppw ALL=(ALL:ALL) ALL\n' >"$root/etc/sudoers.d/lab"
  chmod 440 "$root/etc/sudoers.d/lab"

  # which of these is in PATH, `lab up --etcd` decides
  local v
  for v in 3.4 3.5; do part etcd-$v; install -D -m755 -t "$root/opt/etcd-$v" "$PART"/etcd*; done
  chroot "$root" /opt/etcd-3.5/etcdutl version >/dev/null
}
