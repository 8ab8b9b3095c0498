# The network of a rig: one bridge inside a network namespace of its own (the hub),
# with no route out and no link to the machine's namespace.  Clients run in the hub.
# shellcheck shell=bash

NET=10.77 PREFIX=16 GATEWAY=10.77.0.1

in_hub() { nsenter --net="/run/netns/$HUB" -- "$@"; }

hub_up() {
  [ ! -e "/run/netns/$HUB" ] || return 0
  ip netns add "$HUB"
  ip -n "$HUB" link set lo up
  ip -n "$HUB" link add br0 type bridge
  ip -n "$HUB" addr add "$GATEWAY/$PREFIX" dev br0
  ip -n "$HUB" link set br0 up
}
hub_down() { [ ! -e "/run/netns/$HUB" ] || ip netns del "$HUB"; }

valid_ip() {
  local o; IFS=. read -ra o <<<"$1"
  [[ $1 =~ ^10\.77\.[0-9]{1,3}\.[0-9]{1,3}$ ]] && ((o[2] < 256 && o[3] < 255 && o[3] > 0)) && [ "$1" != "$GATEWAY" ]
}
port_of() { local o; IFS=. read -ra o <<<"$1"; echo "v${o[2]}-${o[3]}"; }     # a host's port at the bridge

net_up() {      # NAME IP
  local ns=$HUB-$1 port; port=$(port_of "$2")
  ip netns add "$ns"
  ip link add "$port" netns "$HUB" type veth peer name eth0 netns "$ns"
  ip -n "$HUB" link set "$port" master br0 up
  ip -n "$ns" -batch - <<BATCH
link set lo up
addr add $2/$PREFIX dev eth0
link set eth0 up
route add default via $GATEWAY
route add unreachable 169.254.0.0/16
BATCH
  # (the last: the kubelet asks a cloud's metadata address and would wait 6 s for no answer)
  # kubeadm checks for this one; it belongs to the namespace, not to the machine
  nsenter --net="/run/netns/$ns" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
}
net_down() {    # NAME IP
  ip -n "$HUB" link del "$(port_of "$2")" 2>/dev/null || true
  ip netns del "$HUB-$1" 2>/dev/null || true
}

# A cable pulled out somewhere on the way: IP packets vanish in both directions, ARP
# does not, so that neither side gets a FIN, a RST or "no route to host".  With a third
# word only those to and from the hub itself: other hosts (jump hosts) still get there.
net_cut() {     # NAME IP [hub]
  local port from='meta protocol { ip, ip6 } drop' to='meta protocol { ip, ip6 } drop'; port=$(port_of "$2")
  if [ -n "${3:-}" ]; then from="ip daddr $GATEWAY drop" to="ip saddr $GATEWAY drop"; fi
  in_hub nft -f - <<NFT
table netdev cut-$1
delete table netdev cut-$1
table netdev cut-$1 {
  chain from { type filter hook ingress device "$port" priority 0; $from; }
  chain to   { type filter hook egress  device "$port" priority 0; $to; }
}
NFT
}
net_mend() { in_hub nft delete table netdev "cut-$1" 2>/dev/null || true; }
