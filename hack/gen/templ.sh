#!/usr/bin/env bash
# Generates *_templ.go beside each .templ file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mapfile -t files < <(git ls-files --cached --others --exclude-standard -- '*.templ')
((${#files[@]})) || exit 0
# The generator and the runtime are one release; a mismatch compiles but renders differently.
tool=$(awk '$1 == "github.com/a-h/templ" { print $2 }' hack/tools/templ/go.mod)
library=$(go list -m -f '{{.Version}}' github.com/a-h/templ)
if [[ $tool != "$library" ]]; then
  echo "templ is $library in go.mod but $tool in hack/tools/templ/go.mod: make them equal" >&2
  exit 1
fi
for directory in $(printf '%s\n' "${files[@]}" | xargs -n1 dirname | sort -u); do
  hack/tool templ generate -log-level error -path "$directory"
done
