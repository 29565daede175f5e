#!/usr/bin/env bash
# hack/debian.sh [SET...]: installs the Debian packages that are missing on this
# machine, and nothing else. Sets: postgres, redis, browser, bench, race,
# cluster, builder, prometheus (default: postgres). With everything in place it
# prints nothing and returns in milliseconds.
#
# The platform starts its own servers as child processes, so whatever a package
# would start or create on its own (a PostgreSQL cluster, a Redis service) is
# prevented: it would hold ports and memory that nobody asked for.
set -euo pipefail

packages=()

# need PACKAGE COMMAND-OR-PATH...: PACKAGE is missing unless one of the others exists.
need() {
  local package=$1 candidate
  shift
  for candidate in "$@"; do
    if [[ $candidate == /* ]]; then
      compgen -G "$candidate" >/dev/null && return 0
    elif command -v "$candidate" >/dev/null; then
      return 0
    fi
  done
  packages+=("$package")
}

for set in "${@:-postgres}"; do
  case $set in
    # The server package brings the client and the contrib extensions (pg_trgm).
    postgres) need postgresql '/usr/lib/postgresql/*/bin/initdb' initdb ;;
    redis) need redis-server redis-server ;;
    browser) need chromium chromium chromium-browser google-chrome ;;
    bench) need wrk wrk ;;
    race) need gcc gcc && need libc6-dev /usr/include/stdlib.h ;;
    # A node of hack/cluster: its containers, its network and its firewall.
    cluster)
      need containerd containerd
      need runc runc /usr/sbin/runc
      need containernetworking-plugins /usr/lib/cni/ptp
      need nftables nft /usr/sbin/nft
      need conntrack conntrack /usr/sbin/conntrack
      need iproute2 ip /usr/sbin/ip
      need util-linux nsenter
      need e2fsprogs mkfs.ext4 /usr/sbin/mkfs.ext4
      need jq jq
      need curl curl
      need ca-certificates /etc/ssl/certs/ca-certificates.crt
      ;;
    # Builds the Dockerfile without a daemon.
    builder) need buildah buildah && need crun crun runc ;;
    prometheus) need prometheus prometheus ;;
    *)
      echo "hack/debian.sh: unknown set '$set'; known: postgres redis browser bench race cluster builder prometheus" >&2
      exit 2
      ;;
  esac
done

if ((${#packages[@]} == 0)); then
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  echo "Please install with your system's package manager: ${packages[*]}" >&2
  exit 1
fi
sudo=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "Please install as root: apt-get install ${packages[*]}" >&2
    exit 1
  fi
  sudo=(sudo)
fi

echo "Installing from Debian: ${packages[*]}"
log=$(mktemp)
placed=()
restore() {
  ((${#placed[@]} == 0)) || "${sudo[@]}" rm -f "${placed[@]}"
  rm -f "$log"
}
trap restore EXIT

# place FILE MODE: writes standard input to FILE for the time of the installation.
place() {
  if [[ ! -e $1 ]]; then
    "${sudo[@]}" install -D -m "$2" /dev/stdin "$1"
    placed+=("$1")
  fi
}
place /usr/sbin/policy-rc.d 755 <<<$'#!/bin/sh\nexit 101'
place /etc/postgresql-common/createcluster.d/commercestack.conf 644 <<<'create_main_cluster = false'

apt() {
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1
}
# Package lists may be absent or stale; fetch them only when that shows.
if ! apt install --no-install-recommends "${packages[@]}"; then
  if ! { apt update && apt install --no-install-recommends "${packages[@]}"; }; then
    cat "$log" >&2
    echo "Could not install ${packages[*]}; the lines above say why." >&2
    exit 1
  fi
fi

# Installed for our child processes only: not to be started at the next boot either.
if command -v systemctl >/dev/null; then
  for service in redis-server containerd prometheus; do
    if [[ " ${packages[*]} " == *" $service "* ]]; then
      "${sudo[@]}" systemctl disable "$service" >/dev/null 2>&1 || true
    fi
  done
fi
