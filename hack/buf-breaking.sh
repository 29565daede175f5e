#!/usr/bin/env bash
# Refuses changes to the protos that would break a client. The contract is
# compared with, in this order: BREAKING_AGAINST (a commit), the latest release
# tag, the point where this branch left main, and, on main itself, the parent
# commit. A repository that has none of these has no clients yet.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

commit() { git rev-parse --verify --quiet "$1^{commit}"; }

against() {
  local head candidate tag
  if [[ -n ${BREAKING_AGAINST:-} ]]; then
    commit "$BREAKING_AGAINST" || { echo "BREAKING_AGAINST=$BREAKING_AGAINST is no commit" >&2; return 2; }
    return
  fi
  head=$(commit HEAD) || return 0
  if tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' HEAD 2>/dev/null); then
    commit "$tag"
    return
  fi
  for candidate in origin/main main; do
    if candidate=$(git merge-base HEAD "$candidate" 2>/dev/null) && [[ $candidate != "$head" ]]; then
      echo "$candidate"
      return
    fi
  done
  commit HEAD^ || return 0
}

base=$(against)
if [[ -z $base ]] || ! git cat-file -e "$base:api/proto" 2>/dev/null; then
  echo "buf breaking: no earlier contract to compare with."
  exit 0
fi

old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$base" api/proto third_party/proto buf.yaml | tar -x -C "$old"
hack/tool buf breaking --against "$old"
echo "buf breaking: compatible with $(git describe --tags --always "$base")."
