#!/usr/bin/env bash
# Checks compose.yaml with `docker compose config`, which needs no engine: the
# installed plugin, or a pinned build of it. Then checks what config cannot know.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
else
  compose=(hack/tool docker-compose)
fi

# An environment of its own: the check must not depend on this machine's settings.
env -i PATH="$PATH" HOME="$HOME" ${XDG_CACHE_HOME:+XDG_CACHE_HOME="$XDG_CACHE_HOME"} \
  ${GOFLAGS:+GOFLAGS="$GOFLAGS"} "${compose[@]}" --file compose.yaml config --format json |
  go run ./hack/composecheck
