#!/usr/bin/env bash
# Generates from the Go types and markers: deep copies, the CRD and the operator's role.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

hack/tool controller-gen object crd paths=./api/v1alpha1/... paths=./api/v1beta1/... output:crd:dir=config/crd
# Libraries with generated code must be loaded with it, or they do not compile.
hack/tool controller-gen --load-build-tags=none rbac:roleName=commercestack-operator paths=./controllers/... output:rbac:dir=config/rbac
