# One image for every program and every component. The base images are
# arguments, so that a build can pin them by digest or take them from a mirror:
#   docker build --build-arg GO_IMAGE=golang@sha256:… .
ARG GO_IMAGE=golang:1.26-bookworm

FROM ${GO_IMAGE} AS build
WORKDIR /src
# Modules change less often than code, so they have a layer of their own.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS=linux
ARG TARGETARCH
# Programs are static: the final image has no C library.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    mkdir -p /out/usr/local/bin /out/etc/ssl/certs /out/tmp /out/var/lib/commerce/objects && \
    for program in cmd/*/; do \
      CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
        go build -trimpath -buildvcs=false -tags timetzdata -ldflags='-s -w' -o /out/usr/local/bin/ "./${program}" || exit 1; \
    done && \
    cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ && \
    echo 'commerce:x:65532:65532::/var/lib/commerce:/sbin/nologin' > /out/etc/passwd && \
    echo 'commerce:x:65532:' > /out/etc/group && \
    chmod 1777 /out/tmp && chown -R 65532:65532 /out/var/lib/commerce

# Nothing but the programs, root certificates and an unprivileged user: no shell
# and no package manager for an intruder to use, nothing to patch beside them.
FROM scratch
COPY --from=build /out/ /
# Numeric, so that Kubernetes can verify runAsNonRoot without the passwd file.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/commerce"]
CMD ["serve"]
