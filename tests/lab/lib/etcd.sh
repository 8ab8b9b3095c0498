# etcd's programs out of the packages of a Debian suite, into a folder of their own,
# so that several versions lie beside each other.  Sourced by build/etcd-*.
# shellcheck shell=bash
fetch_etcd() {   # SUITE FOLDER
  local tmp; tmp=$(mktemp -d)
  private_apt "$tmp/apt" "deb $1"
  (cd "$tmp" && "${APT[@]}" download etcd-server etcd-client >/dev/null)
  for deb in "$tmp"/*.deb; do dpkg-deb -x "$deb" "$tmp/x"; done
  install -m755 -t "$2" "$tmp"/x/usr/bin/etcd*
  rm -rf "$tmp"
}
