#!/usr/bin/env bash
# hack/cluster/dockerfile-check.sh builds the Dockerfile as it stands, where there is
# neither a container engine nor a registry: buildah with folders as storage and a
# chroot as isolation, on a Go base image that hack/image makes from this machine's
# Go and Debian's packages. Modules come from this machine's module cache.
#
# It then looks at the result: every program of cmd/ is there, starts, and belongs to
# an image that runs as an unprivileged user.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ((EUID != 0)); then
  echo "image-check needs root: it mounts images (sudo -E make image-check)." >&2
  exit 1
fi
started=$SECONDS
say() { printf '%6d s  %s\n' $((SECONDS - started)) "$*"; }

cache=${XDG_CACHE_HOME:-$HOME/.cache}/commercestack/builder
mkdir -p "$cache"
log=$cache/build.log
# Layers as plain folders need no kernel support; caches of RUN live in TMPDIR.
export TMPDIR=$cache/tmp BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
mkdir -p "$TMPDIR"
builder=(buildah --root "$cache/storage" --runroot "$cache/run")
# Images need no policy here: none comes from elsewhere.
policy=$cache/policy.json
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$policy"

containers=()
cleanup() {
  local container
  for container in "${containers[@]}"; do
    "${builder[@]}" rm "$container" >/dev/null 2>&1 || true
  done
}
trap cleanup EXIT

archive=$(go run ./hack/image golang)
base=$("${builder[@]}" from --signature-policy "$policy" "docker-archive:$archive")
containers+=("$base")
"${builder[@]}" config --env GOPROXY=file:///modules --env GOSUMDB=off --env GOFLAGS=-modcacherw "$base"
"${builder[@]}" commit --signature-policy "$policy" --quiet "$base" commercestack-golang >/dev/null
say "the Go base image is made"

modules=$(go env GOMODCACHE)/cache/download
go mod download
if ! "${builder[@]}" build --signature-policy "$policy" --pull-never --layers=false --volume "$modules:/modules:ro" \
  --build-arg GO_IMAGE=localhost/commercestack-golang --tag commercestack-check . >"$log" 2>&1; then
  tail -40 "$log" >&2
  echo "The Dockerfile does not build; the whole log is $log." >&2
  exit 1
fi
say "the Dockerfile is built"

image=$("${builder[@]}" from --signature-policy "$policy" --pull-never localhost/commercestack-check)
containers+=("$image")
root=$("${builder[@]}" mount "$image")
user=$("${builder[@]}" inspect --type image --format '{{.OCIv1.Config.User}}' localhost/commercestack-check)
if [[ $user != 65532:65532 ]]; then
  echo "The image runs as '$user', not as 65532:65532." >&2
  exit 1
fi
for dir in cmd/*/; do
  program=$(basename "$dir")
  if ! chroot --userspec=65532:65532 "$root" "/usr/local/bin/$program" --help >"$cache/help.txt" 2>&1; then
    cat "$cache/help.txt" >&2
    echo "The program $program of the image does not start." >&2
    exit 1
  fi
  say "$program starts"
done
[[ -s $root/etc/ssl/certs/ca-certificates.crt ]] || { echo "The image has no root certificates." >&2; exit 1; }
say "the image holds $(du -sm "$root" | cut -f1) MB"
