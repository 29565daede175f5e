package rpc

import (
	"context"
	"net/http"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/grpcreflect/v2"
	"google.golang.org/protobuf/reflect/protoreflect"

	accessv1 "github.com/commercestack/commercestack/api/gen/commerce/access/v1"
	"github.com/commercestack/commercestack/internal/access"
)

// Limits of a request message in bytes.
const (
	// MaxMessage bounds ordinary messages.
	MaxMessage = 4 << 20
	// MaxUpload bounds messages that carry a file of at most 8 MiB as it is.
	MaxUpload = 9 << 20
	// MaxEncodedUpload bounds JSON that carries such a file in base64.
	MaxEncodedUpload = 12 << 20
	// MaxPublicRaw bounds raw bodies that anybody may send, such as webhooks.
	MaxPublicRaw = 1 << 20
)

// compressFrom is the size in bytes from which gzip pays.
const compressFrom = 1 << 10

// MaxRequest returns the limit of a method's request in bytes. Files make
// requests big: google.api.HttpBody and bytes fields.
func MaxRequest(method protoreflect.MethodDescriptor) int {
	if method == nil || !carriesFile(method.Input()) {
		return MaxMessage
	}
	if access.ForMethod(method).GetLevel() == accessv1.Level_LEVEL_PUBLIC {
		return MaxPublicRaw
	}
	return MaxEncodedUpload
}

func carriesFile(message protoreflect.MessageDescriptor) bool {
	fields := message.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Kind() == protoreflect.BytesKind || field.Message() != nil && field.Message().FullName() == "google.api.HttpBody" {
			return true
		}
	}
	return false
}

// MountOption changes what Mount adds.
type MountOption func(*mounting)

type mounting struct {
	ready      func(ctx context.Context, service string) error
	reflection bool
}

// WithReadiness makes the health service answer SERVING only while ready
// returns nil. Service is a fully qualified name, or "" for the whole process.
func WithReadiness(ready func(ctx context.Context, service string) error) MountOption {
	return func(m *mounting) { m.ready = ready }
}

// WithoutReflection leaves out the reflection service.
func WithoutReflection() MountOption { return func(m *mounting) { m.reflection = false } }

// Mount serves every method of the server on mux over Connect, gRPC and
// gRPC-Web, with gRPC's health and reflection services beside. It compiles the
// validation rules first, so that no request waits for that, and panics when
// one of them is broken. Call it once a server, after all services are registered.
func Mount(mux connecthttp.ServeMux, server *connect.Server, options ...MountOption) {
	m := mounting{ready: func(context.Context, string) error { return nil }, reflection: true}
	for _, option := range options {
		option(&m)
	}
	if err := Warm(context.Background(), server); err != nil {
		panic(err) // a mistake in the contract, found at start and by the tests
	}
	registerHealth(server, m.ready)
	if m.reflection {
		grpcreflect.Register(server)
	}
	connecthttp.Mount(mux, server, limits()...)
}

func limits() []connecthttp.Option {
	return []connecthttp.Option{
		connecthttp.WithReadMaxBytes(MaxMessage),
		connecthttp.WithCompressMinBytes(compressFrom),
		connecthttp.WithConditionalOptions(func(spec connect.Spec) []connecthttp.Option {
			method, _ := spec.Schema.(protoreflect.MethodDescriptor)
			return []connecthttp.Option{connecthttp.WithReadMaxBytes(MaxRequest(method))}
		}),
	}
}

// NewTransport returns the transport to a component in another process. It
// speaks binary gRPC-compatible Connect and accepts answers with files.
func NewTransport(client *http.Client, url string) connect.Transport {
	return connecthttp.NewTransport(client, url, connecthttp.WithReadMaxBytes(MaxEncodedUpload), connecthttp.WithCompressMinBytes(compressFrom))
}
