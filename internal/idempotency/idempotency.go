// Package idempotency lets a client repeat a call that changes something
// without changing it twice. A call with an Idempotency-Key claims the key
// before anything else happens. A finished claim answers repetitions with the
// stored answer; failures are not stored, so a repetition after one runs again.
//
// The claim has a fixed resource id, which the use case gives to the fact it
// creates. So even a call that died anywhere, and is run again, finds what it
// did: a row with that id means "already done".
package idempotency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
)

const (
	// Header names the key of a request.
	Header = "Idempotency-Key"
	// ReplayedHeader is "true" on an answer that was stored.
	ReplayedHeader = "Idempotent-Replayed"

	maxKey       = 255 // characters
	settleWithin = 5 * time.Second
)

type contextKey struct{}

// ResourceID returns the id for the fact that the call creates: the claim's,
// which stays the same when the call is repeated, or a fresh UUIDv7 when the
// caller sent no key. A use case asks once.
func ResourceID(ctx context.Context) uuid.UUID {
	if c, ok := ctx.Value(contextKey{}).(*call); ok && c != nil && c.claim != nil {
		return c.claim.resourceID
	}
	return uuid.Must(uuid.NewV7())
}

// Interceptor serves calls with an Idempotency-Key once. storeFor returns the
// store of the component that owns a procedure ("/commerce.order.v1.…"), or nil
// when it has none; it is asked once a call. The interceptor belongs inside those that
// establish and check the identity.
func Interceptor(storeFor func(procedure string) *Store) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			c, err := newCall(ctx, storeFor, spec, stream)
			if err != nil {
				return err
			}
			if c == nil {
				if ctx.Value(contextKey{}) != nil {
					// A component called in process is not the call that has the key.
					ctx = context.WithValue(ctx, contextKey{}, (*call)(nil))
				}
				return next(ctx, spec, stream)
			}
			return c.serve(next)
		}
	}
}

// call is one call with a key. It stands between the handler and the stream:
// only when the request was read its parameters are known.
type call struct {
	connect.ServerStream

	ctx   context.Context //nolint:containedctx // Receive and Send have no context of their own
	spec  connect.Spec
	store *Store
	key   claimKey

	claim    *claim
	answer   []byte // the stored answer, when the call is a repetition
	refusal  error  // why the handler must not run
	finished bool

	stopKeeping func()
}

// newCall returns nil when the call needs no claim.
func newCall(ctx context.Context, storeFor func(string) *Store, spec connect.Spec, stream connect.ServerStream) (*call, error) {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok || spec.StreamType != connect.StreamTypeUnary || !info.RequestHeader().Has(Header) || readOnly(spec) {
		return nil, nil //nolint:nilnil // no call is what most calls are
	}
	key := info.RequestHeader().Get(Header)
	if !valid(key) {
		return nil, fault.Invalid(Header, "must be 1 to %d visible ASCII characters", maxKey)
	}
	store := storeFor(spec.Procedure)
	if store == nil {
		return nil, nil //nolint:nilnil // a component without a store repeats nothing
	}
	c := &call{ServerStream: stream, spec: spec, store: store, stopKeeping: func() {}}
	c.key = claimKey{scope: scope(identity.From(ctx)), procedure: spec.Procedure, key: key}
	c.ctx = context.WithValue(ctx, contextKey{}, c)
	return c, nil
}

func valid(key string) bool {
	if key == "" || len(key) > maxKey {
		return false
	}
	for _, char := range []byte(key) {
		if char <= ' ' || char > '~' {
			return false
		}
	}
	return true
}

// scope keeps the keys of different callers apart.
func scope(id identity.Identity) string {
	switch {
	case id.UserID != "":
		return id.UserID
	case id.Service != "":
		return "service:" + id.Service
	case id.GuestToken != "":
		return "guest:" + id.GuestTokenHash()
	default:
		return "guest"
	}
}

func readOnly(spec connect.Spec) bool {
	if spec.IdempotencyLevel == connect.IdempotencyNoSideEffects {
		return true
	}
	method, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return false
	}
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	return rule.GetGet() != ""
}

var errRefused = errors.New("idempotency: the handler must not run")

// serve runs the handler or answers for it.
func (c *call) serve(next connect.ServerFunc) (err error) {
	defer func() {
		// Also when the handler panics.
		c.stopKeeping()
		if c.claim != nil && !c.finished {
			c.settle("release", func(ctx context.Context) error { return c.store.release(ctx, c.claim) })
		}
	}()
	err = next(c.ctx, c.spec, c)
	switch {
	case c.refusal != nil:
		return c.refusal
	case c.answer != nil:
		return c.replay()
	default:
		return err
	}
}

// Receive implements connect.ServerStream: the request is claimed before the handler sees it.
func (c *call) Receive(msg any) error {
	if c.refusal != nil || c.answer != nil {
		return errRefused
	}
	if err := c.ServerStream.Receive(msg); err != nil || c.claim != nil {
		return err
	}
	if c.refusal = c.begin(msg); c.refusal != nil || c.answer != nil {
		return errRefused
	}
	return nil
}

func (c *call) begin(msg any) error {
	message, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("idempotency: request is %T, not a protobuf message", msg)
	}
	params, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		return fmt.Errorf("idempotency: %w", err)
	}
	claimed, answer, err := c.store.begin(c.ctx, c.key, params)
	if err != nil {
		return err
	}
	c.claim = claimed
	if claimed != nil {
		c.stopKeeping = c.store.keep(c.ctx, claimed)
	} else {
		c.answer = append([]byte{}, answer...) // an empty answer is one, too
	}
	return nil
}

// Send implements connect.ServerStream: the answer is stored before the client
// sees it. When that fails the client still gets it: a repetition would run
// again under the same resource id.
func (c *call) Send(msg any) error {
	if c.claim != nil && !c.finished {
		message, ok := msg.(proto.Message)
		if !ok {
			return fmt.Errorf("idempotency: answer is %T, not a protobuf message", msg)
		}
		answer, err := proto.Marshal(message)
		if err != nil {
			return fmt.Errorf("idempotency: %w", err)
		}
		c.finished = c.settle("store the answer of", func(ctx context.Context) error { return c.store.finish(ctx, c.claim, answer) })
	}
	return c.ServerStream.Send(msg)
}

// settle ends the claim even when the client is gone.
func (c *call) settle(what string, do func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), settleWithin)
	defer cancel()
	if err := do(ctx); err != nil {
		c.store.logger.WarnContext(ctx, "cannot settle an idempotent call; its lease ends by itself",
			slog.String("step", what), slog.String("procedure", c.spec.Procedure), slog.Any("cause", err))
		return false
	}
	return true
}

// replay sends the stored answer.
func (c *call) replay() error {
	method, ok := c.spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return fmt.Errorf("idempotency: %s has no descriptor", c.spec.Procedure)
	}
	generated, err := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName())
	if err != nil {
		return fmt.Errorf("idempotency: %w", err)
	}
	message := generated.New().Interface()
	if err := proto.Unmarshal(c.answer, message); err != nil {
		return fmt.Errorf("idempotency: stored answer: %w", err)
	}
	if info, ok := connect.CallInfoForServerContext(c.ctx); ok {
		info.ResponseHeader().Set(ReplayedHeader, "true")
	}
	return c.ServerStream.Send(message)
}
