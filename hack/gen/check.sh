#!/usr/bin/env bash
# Regenerates everything and fails when that changes a file: what is committed
# must be what the sources say. It compares before and after rather than asking
# git, so it also answers rightly in a work tree with uncommitted changes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

snapshot() {
  git ls-files -z --cached --others --exclude-standard -- api charts config ent services internal |
    while IFS= read -r -d '' file; do
      [[ -f $file ]] && printf '%s\0' "$file"
    done | xargs -0 -r sha256sum | sort -k2
}

before=$(mktemp) after=$(mktemp)
trap 'rm -f "$before" "$after"' EXIT
snapshot >"$before"
make generate
snapshot >"$after"
if ! drift=$(diff "$before" "$after"); then
  echo "Generated code is out of date in these files; run 'make generate' and commit:" >&2
  awk '/^[<>]/ { print "  " $3 }' <<<"$drift" | sort -u >&2
  git --no-pager diff --stat >&2 || true
  exit 1
fi
echo "Generated code is up to date."
