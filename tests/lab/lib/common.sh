# What every script of the lab shares: where things are kept, messages, missing
# packages, and the cache of built parts.  Sourced, never run.
# shellcheck shell=bash

LAB=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
CACHE=${DRCTL_LAB_CACHE:-/var/cache/drctl-lab}     # may be deleted at any time when no host is up
STATE=${DRCTL_LAB_STATE:-$CACHE/hosts}             # the hosts that are up now
HUB=${DRCTL_LAB_HUB:-drctl-lab}                    # network namespace of this rig, and prefix of its names
export DRCTL_LAB_CACHE=$CACHE DRCTL_LAB_STATE=$STATE DRCTL_LAB_HUB=$HUB

# A caller's umask 077 would become the mode of a host's / and /etc.
umask 022
# The machine's locale must not decide how tools sort or speak.
export LC_ALL=C.UTF-8

LAB_START=${LAB_START:-$EPOCHREALTIME}; export LAB_START
elapsed() { local us=$(( ${EPOCHREALTIME/./} - ${1/./} )); printf '%d.%d' $((us / 1000000)) $((us / 100000 % 10)); }
say() { printf 'lab: %6ss  %s\n' "$(elapsed "$LAB_START")" "$*" >&2; }
die() { printf 'lab: error: %s\n' "$*" >&2; exit 1; }

# need PROGRAM:PACKAGE ...   installs the packages whose programs (or files) are missing
missing() { local x; for x; do command -v "${x%%:*}" >/dev/null || [ -e "${x%%:*}" ] || echo "${x#*:}"; done; }
need() {
  local packages lock i get=(apt-get -q -y -o DPkg::Lock::Timeout=600 install --no-install-recommends)
  [ -n "$(missing "$@")" ] || return 0
  mkdir -p "$CACHE"; exec {lock}>"$CACHE/.lock-packages"; flock "$lock"
  mapfile -t packages < <(missing "$@")
  if [ ${#packages[@]} -gt 0 ]; then
    say "installing packages: ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    if ! "${get[@]}" "${packages[@]}" >/dev/null 2>&1; then
      # the lists are old or absent, or somebody else's apt is at work on them
      for i in 1 2 3 4 5 6; do apt-get -q update >/dev/null 2>&1 && break; sleep 5; done
      "${get[@]}" "${packages[@]}" >/dev/null || die "could not install ${packages[*]}; try: apt-get update && apt-get install ${packages[*]}"
    fi
  fi
  exec {lock}>&-
}

# The Debian mirror that this machine already uses for bookworm.
mirror() {
  local m=${DRCTL_LAB_MIRROR:-$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Identifier: Packages' |
    sed -n 's/^bookworm //p' | head -n1)}
  [ -n "$m" ] || die "no bookworm mirror among apt's sources; set DRCTL_LAB_MIRROR"
  echo "${m%/}"
}

# private_apt DIR LINE...   an apt configuration of its own (sources, lists, no
# locks shared) in DIR, so that the machine's sources stay as they are; "SUITE"
# lines such as "deb-src bookworm" or "deb trixie".  Then: "${APT[@]}" update ...
private_apt() {
  local dir=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg line url; shift
  url=$(mirror)
  mkdir -p "$dir/lists/partial" "$dir/archives/partial" "$dir/empty"; : >"$dir/sources.list"
  for line; do echo "${line% *} [signed-by=$keyring] $url ${line#* } main" >>"$dir/sources.list"; done
  APT=(apt-get -q -o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts="$dir/empty"
       -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache::Archives=$dir/archives"
       -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)
  "${APT[@]}" update >/dev/null
}

# ---- The cache.  A part is what one script of build/ makes into the folder that
# it gets as $1.  Its folder carries a digest of that script, of the files it names
# in "# inputs:" and of the parts in "# needs:"; so a changed script makes a new
# folder, and a host that is up keeps the old one under its feet.

part_header() { sed -n "s/^# $2: *//p" "$LAB/build/$1"; }

declare -A PART_DIGEST=()
part_digest() {       # sets PART_DIGEST[$1]; comments do not count
  [ -z "${PART_DIGEST[$1]:-}" ] || return 0
  local p deps; deps=$(part_header "$1" needs)
  for p in $deps; do part_digest "$p"; done
  PART_DIGEST[$1]=$( { grep -v '^ *#' "$LAB/build/$1"
      for p in $(part_header "$1" inputs); do cat "$LAB/$p"; done
      for p in $deps; do echo "${PART_DIGEST[$p]}"; done; } | sha256sum | cut -c1-12)
}
part_path() { part_digest "$1"; echo "$CACHE/parts/$1-${PART_DIGEST[$1]}"; }

# part NAME   makes the part if it is not there; sets PART to its folder
part() {
  part_digest "$1"
  local name=$1 dir=$CACHE/parts/$1-${PART_DIGEST[$1]} dep
  PART=$dir; [ -e "$dir/.ready" ] && { touch "$dir/.ready"; return; }
  for dep in $(part_header "$name" needs); do part "$dep"; done
  PART=$dir; mkdir -p "$CACHE/parts"
  exec {lock}>"$CACHE/parts/.lock-$name"
  flock -n "$lock" || { say "$name: another process is building it, waiting"; flock "$lock"; }
  if [ ! -e "$dir/.ready" ]; then
    local start=$EPOCHREALTIME
    say "$name: building"
    rm -rf "$dir" "$dir.tmp"; mkdir -p "$dir.tmp"
    "$LAB/build/$name" "$dir.tmp" || die "$name: build/$name failed"
    echo "${PART_DIGEST[$name]}" >"$dir.tmp/.ready"; mv "$dir.tmp" "$dir"
    say "$name: done in $(elapsed "$start") s, $(du -sh "$dir" | cut -f1)"
    part_prune "$name"
  fi
  exec {lock}>&-
}

# Older versions of a part go when nobody has asked for them for a day (another checkout of
# the project may have other scripts, and shares the cache) and no host is mounted over them.
part_prune() {    # NAME [MINUTES]
  local old used; used=$(cat /proc/[0-9]*/mountinfo 2>/dev/null || true)
  for old in "$CACHE/parts/$1"-????????????; do
    [ "$old" != "$CACHE/parts/$1-${PART_DIGEST[$1]}" ] && [ -d "$old" ] || continue
    [ -n "$(find "$old/.ready" -mmin -"${2:-1440}" 2>/dev/null)" ] || grep -qF "$old" <<<"$used" || rm -rf "$old"
  done
}
