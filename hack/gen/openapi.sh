#!/usr/bin/env bash
# Generates api/openapi/openapi.json from api/proto.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

hack/tool buf generate --template buf.gen.openapi.yaml --output "$out"
hack/tool buf build api/proto --output "$out/image.binpb"
go run ./hack/openapi -fragments "$out/fragments" -image "$out/image.binpb" -out api/openapi/openapi.json
