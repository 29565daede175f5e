#!/usr/bin/env bash
# hack/cluster/envtest.sh prints a folder with kube-apiserver, etcd and kubectl,
# built when they are missing: what KUBEBUILDER_ASSETS names for tests against a
# real API server. They are the same programs as those of the local cluster.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/commercestack/envtest

declare -A programs
key=
for name in kube-apiserver etcd kubectl; do
  programs[$name]=$("$root/hack/tool" --path "$name")
  key+=${programs[$name]}
done

# A folder per set of versions: a test that runs keeps the one it started with.
dir=$cache/$(sha256sum <<<"$key" | cut -c1-16)
if [[ ! -d $dir ]]; then
  mkdir -p "$cache"
  new=$(mktemp -d "$cache/new.XXXXXX")
  for name in "${!programs[@]}"; do
    ln -s "${programs[$name]}" "$new/$name"
  done
  # Whoever comes second finds the folder there, with the same content.
  mv -T "$new" "$dir" 2>/dev/null || rm -rf "$new"
fi
echo "$dir"
