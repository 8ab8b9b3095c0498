# One cgroup per host in every hierarchy, so that two kubelets do not meet in
# /kubepods and that a host's processes can be found when it goes.
# shellcheck shell=bash

cg_roots() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; return; fi
  local d; for d in /sys/fs/cgroup/*/; do [ -L "${d%/}" ] || echo "${d%/}"; done
}
cg_join() {     # NAME   the calling shell enters the host's cgroups
  local d f
  for d in $(cg_roots); do
    mkdir -p "$d/$HUB/$1" 2>/dev/null || continue
    if [ -e "$d/$HUB/$1/cpuset.cpus" ] && [ -e "$d/cgroup.clone_children" ]; then    # v1: empty sets admit nobody
      for f in cpuset.cpus cpuset.mems; do cat "$d/$f" >"$d/$HUB/$f"; cat "$d/$f" >"$d/$HUB/$1/$f"; done
      echo 1 >"$d/$HUB/$1/cgroup.clone_children"
    fi
    echo $$ >"$d/$HUB/$1/cgroup.procs" 2>/dev/null || true
  done
}
cg_empty() { local d; d=$(cg_roots | tail -n1); [ -z "$(find "$d/$HUB/$1" -name cgroup.procs -exec cat {} + 2>/dev/null)" ]; }
cg_rm() {       # NAME   waits, for the kernel lets go late
  local d i left
  for i in {1..100}; do
    left=
    for d in $(cg_roots); do
      [ -d "$d/$HUB/$1" ] || continue
      find "$d/$HUB/$1" -depth -type d -exec rmdir {} + 2>/dev/null || left=1
    done
    [ -n "$left" ] || return 0
    sleep 0.02
  done
}
cg_rm_hub() { local d; for d in $(cg_roots); do rmdir "$d/$HUB" 2>/dev/null || true; done; }
