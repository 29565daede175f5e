// Package bus carries events between components. Delivery is at least once:
// a subscriber gets every event of its types, possibly twice and not always in
// order, and deduplicates by event id in its own transaction (internal/inbox).
//
// A subscription is durable. It exists from the moment Subscribe or Register
// returned, so an event published while its process is down waits for it; and
// one registered for the first time also gets what was published shortly
// before (Backlog), so the components of a fresh installation may start in any
// order.
package bus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"github.com/commercestack/commercestack/internal/event"
)

// What a subscription gets when it leaves the field zero.
const (
	// DefaultMaxAttempts spans about two hours of backoff, so an outage of a dependency makes no dead letters.
	DefaultMaxAttempts = 20
	// DefaultConcurrency is how many events of a subscription one process handles at once.
	DefaultConcurrency = 4
	// DefaultTimeout bounds the handling of one event.
	DefaultTimeout = time.Minute
	// DefaultBacklog is how far a new subscription looks back.
	DefaultBacklog = 10 * time.Minute
)

// Bus carries events. Implementations are safe for concurrent use.
type Bus interface {
	// Publish hands over events in one batch. When it returns nil every
	// subscription registered before has them durably. An event whose id was
	// published before is ignored, so a caller that does not know the outcome
	// repeats the call.
	Publish(ctx context.Context, events []event.Event) error
	// Subscribe registers the subscription durably and attaches its handler.
	// It is called before Run; the handler is called only while Run runs.
	Subscribe(Subscription) error
	// Run delivers events to the subscribed handlers until ctx ends, then waits
	// for the handlers that still run. It returns nil on a clean stop.
	Run(ctx context.Context) error
	// Close frees what the bus holds, after Run returned.
	Close()
}

// Registrar makes subscriptions exist before the process that handles them
// ever ran. Handlers are ignored, and nothing is delivered here.
type Registrar interface {
	// Register adds the subscriptions, or types to those that exist. It is idempotent.
	Register(ctx context.Context, subscriptions ...Subscription) error
}

// Operator repairs subscriptions.
type Operator interface {
	// Redrive gives every dead event of the subscription a fresh set of attempts and returns how many there were.
	Redrive(ctx context.Context, subscription string) (int, error)
	// Replay delivers again every retained event of the subscription's types published at or after since,
	// and returns how many. Subscribers that deduplicate only see what they had missed.
	Replay(ctx context.Context, subscription string, since time.Time) (int, error)
	// Dead lists dead events of the subscription, oldest first.
	Dead(ctx context.Context, subscription string, limit int) ([]DeadLetter, error)
}

// DeadLetter is an event that a subscription gave up on.
type DeadLetter struct {
	// Event as it was published.
	Event event.Event
	// Attempts made before giving up.
	Attempts int
	// LastError is the text of the last failure, cut to a bounded length.
	LastError string
}

// Handler handles one event. An error means: deliver again later. The
// context ends when the subscription's Timeout passes or the process stops.
type Handler func(ctx context.Context, e event.Event) error

// BatchHandler handles events that came together. Their effects commit
// together: after an error none has happened, and each event goes to the
// subscription's Handler alone, so that one that cannot be handled does not
// hold up the others. An event may be in a batch twice.
type BatchHandler func(ctx context.Context, events []event.Event) error

// Subscription is one durable interest of one component.
type Subscription struct {
	// Name is the component, a dot and the purpose, such as "order.payments".
	Name string
	// Types of events wanted, such as "PAYMENT_SUCCEEDED".
	Types []string
	// Handle handles one event.
	Handle Handler
	// HandleBatch handles several at once, where one statement can; it may be nil. A bus need not call it, and
	// calls it only with events that nobody tried before: one that ends processes is tried again alone.
	HandleBatch BatchHandler
	// MaxAttempts before the event is dead. 0 means DefaultMaxAttempts.
	MaxAttempts int
	// Concurrency is how many events one process handles at once. 0 means DefaultConcurrency; 1 keeps order within one process.
	Concurrency int
	// Timeout bounds the handling of one event or batch. 0 means DefaultTimeout.
	Timeout time.Duration
	// Backlog is how far before its first registration the subscription starts. 0 means DefaultBacklog, negative means nothing.
	Backlog time.Duration
}

var (
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z][a-z0-9_]*)+$`)
	typePattern = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)
)

// Component returns the component that owns the subscription: the name up to the first dot.
func (s Subscription) Component() string {
	component, _, _ := strings.Cut(s.Name, ".")
	return component
}

// WithDefaults returns the subscription with its zero fields filled.
func (s Subscription) WithDefaults() Subscription {
	if s.MaxAttempts == 0 {
		s.MaxAttempts = DefaultMaxAttempts
	}
	if s.Concurrency == 0 {
		s.Concurrency = DefaultConcurrency
	}
	if s.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	if s.Backlog == 0 {
		s.Backlog = DefaultBacklog
	}
	s.Backlog = max(s.Backlog, 0)
	return s
}

// Validate reports what is wrong with the declaration: its name, its types or its limits.
func (s Subscription) Validate() error {
	if !namePattern.MatchString(s.Name) || len(s.Name) > 100 {
		return fmt.Errorf("bus: subscription name %q is not of the form component.purpose", s.Name)
	}
	if len(s.Types) == 0 {
		return fmt.Errorf("bus: subscription %s: no event types", s.Name)
	}
	for _, t := range s.Types {
		if !typePattern.MatchString(t) {
			return fmt.Errorf("bus: subscription %s: event type %q is not in UPPER_SNAKE_CASE", s.Name, t)
		}
	}
	if s.MaxAttempts < 0 || s.Concurrency < 0 || s.Timeout < 0 {
		return fmt.Errorf("bus: subscription %s: a negative limit", s.Name)
	}
	return nil
}

// ValidateHandler is Validate for a subscription that is about to be handled.
func (s Subscription) ValidateHandler() error {
	if s.Handle == nil {
		return fmt.Errorf("bus: subscription %s: %w", s.Name, errNoHandler)
	}
	return s.Validate()
}

var errNoHandler = errors.New("no handler")

const (
	backoffBase = time.Second
	backoffCap  = 10 * time.Minute
)

// Backoff returns the pause after the given failed attempt (1 for the first):
// doubling from one second to ten minutes, with jitter of a quarter either
// way so that events that failed together are not retried together.
func Backoff(attempt int) time.Duration {
	d := backoffCap
	if shift := max(attempt-1, 0); shift < 10 {
		d = min(backoffBase<<shift, backoffCap)
	}
	jitter := 0.75 + rand.Float64()/2 //nolint:gosec // spreads load, guards nothing
	return time.Duration(float64(d) * jitter)
}
