#!/usr/bin/env bash
# Generates api/gen from api/proto. Output goes to a temporary folder first and
# only files that differ are replaced: an interrupted or failing run leaves the
# committed code as it was, and unchanged packages are not compiled again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

hack/tool buf generate --output "$out"

while IFS= read -r -d '' file; do
  target=${file#"$out"/}
  if ! cmp -s "$file" "$target"; then
    install -D -m 644 "$file" "$target"
    echo "generated $target"
  fi
done < <(find "$out/api/gen" -type f -print0)

# A proto that was removed takes its generated code with it.
if [[ -d api/gen ]]; then
  while IFS= read -r -d '' file; do
    if [[ ! -e $out/$file ]]; then
      rm "$file"
      echo "removed $file"
    fi
  done < <(find api/gen -type f \( -name '*.pb.go' -o -name '*.connect.go' \) -print0)
  find api/gen -mindepth 1 -type d -empty -delete
fi
