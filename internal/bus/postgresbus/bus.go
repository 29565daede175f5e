// Package postgresbus is the event bus in PostgreSQL: nothing more to run than
// the database that the shop has anyway.
//
// Publishing writes the event and one delivery for each subscription that
// wants it, in one statement. A subscriber claims deliveries under a lease,
// handles them without holding a connection, and settles them in batches. A
// dead process's leases end and others take over. The schema "bus" belongs to
// nobody who connects: components use its functions, which let a component act
// only for subscriptions of its own.
package postgresbus

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/postgres"
)

// Schema is the name the bus is bootstrapped and migrated under.
const Schema = "bus"

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the versioned migrations of the schema, for postgres.Migrate under the component name [Schema].
func Migrations() fs.FS {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the path is a constant
	}
	return files
}

const (
	defaultLease    = 30 * time.Second
	defaultDrain    = 10 * time.Second
	registerTimeout = 15 * time.Second
	replayBatch     = 5000
)

var errRunning = errors.New("postgresbus: Run runs already")

// Config says for whom the bus works. Zero values take the defaults named here.
type Config struct {
	// DB is the component's own database handle. Required.
	DB *postgres.DB
	// Logger takes failures of handlers and of the database; slog.Default().
	Logger *slog.Logger
	// Registry takes the metrics commerce_bus_*; nil registers none.
	Registry prometheus.Registerer
	// Lease is how long a dead process keeps its events from others; 30 s. A living one extends it.
	Lease time.Duration
	// Drain is how long handlers may go on after Run's context ended, before theirs ends too; 10 s.
	Drain time.Duration
	// Poll is how often deliveries are looked for without being woken; 1 s, and 5 s while notifications arrive.
	Poll time.Duration
}

// Bus is one component's end of the bus.
type Bus struct {
	config  Config
	metrics *bus.Metrics

	mutex   sync.Mutex
	lanes   map[string]*lane
	running atomic.Bool
}

var (
	_ bus.Bus       = (*Bus)(nil)
	_ bus.Registrar = (*Bus)(nil)
	_ bus.Operator  = (*Bus)(nil)
)

// New returns the component's end of the bus, and fails when the schema was not migrated. Nothing runs before Run.
func New(ctx context.Context, config Config) (*Bus, error) {
	if config.DB == nil {
		return nil, errors.New("postgresbus: no database")
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	setDefault(&config.Lease, defaultLease)
	setDefault(&config.Drain, defaultDrain)
	if _, err := config.DB.Pool().Exec(ctx, "SELECT bus.stats('{}')"); err != nil {
		return nil, fmt.Errorf("postgresbus: the bus is out of reach: %w", postgres.Fault(err))
	}
	b := &Bus{config: config, lanes: map[string]*lane{}}
	b.metrics = bus.NewMetrics(config.DB.Schema(), b.depths)
	if config.Registry != nil {
		if err := config.Registry.Register(b.metrics); err != nil {
			return nil, fmt.Errorf("postgresbus: metrics: %w", err)
		}
	}
	return b, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Close implements bus.Bus. The database handle is its owner's to close.
func (b *Bus) Close() {
	if b.config.Registry != nil {
		b.config.Registry.Unregister(b.metrics)
	}
}

const (
	publishFunction = "bus.publish"
	publishSQL      = "SELECT " + publishFunction + "($1::uuid[], $2::text[], $3::text[], $4::text[])"
)

func publishArgs(events []event.Event) ([]any, error) {
	n := len(events)
	ids, types, subjects, bodies := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, e := range events {
		data, err := e.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("postgresbus: publish: %w", err)
		}
		ids[i], types[i], subjects[i], bodies[i] = e.ID.String(), e.Type, e.Subject, string(data)
	}
	return []any{ids, types, subjects, bodies}, nil
}

// Publish implements bus.Bus with one statement.
func (b *Bus) Publish(ctx context.Context, events []event.Event) error {
	if len(events) == 0 {
		return nil
	}
	args, err := publishArgs(events)
	if err != nil {
		return err
	}
	if _, err := b.config.DB.Pool().Exec(ctx, publishSQL, args...); err != nil {
		return fmt.Errorf("postgresbus: publish %d events: %w", len(events), postgres.Fault(err))
	}
	b.metrics.Published.Add(float64(len(events)))
	return nil
}

// Shares reports whether the bus is in db's database and uses db's login role,
// so that PublishFunction works on db's connections.
func (b *Bus) Shares(db *postgres.DB) bool { return b.config.DB == db }

// PublishFunction names the function that Publish calls with ids, types, subjects and bodies, for a statement that
// publishes together with what else it does.
func (b *Bus) PublishFunction() string { return publishFunction }

// CountPublished counts events that a statement published with the function.
func (b *Bus) CountPublished(n int) { b.metrics.Published.Add(float64(n)) }

// Register implements bus.Registrar. A component may register only subscriptions of its own.
func (b *Bus) Register(ctx context.Context, subscriptions ...bus.Subscription) error {
	for _, s := range subscriptions {
		if err := s.Validate(); err != nil {
			return err
		}
		types := slices.Compact(slices.Sorted(slices.Values(s.Types)))
		_, err := b.config.DB.Pool().Exec(ctx, "SELECT bus.register($1, $2, $3::interval)", s.Name, types, s.WithDefaults().Backlog)
		if err != nil {
			return fmt.Errorf("postgresbus: register %s: %w", s.Name, postgres.Fault(err))
		}
	}
	return nil
}

// Register makes subscriptions of any component exist, as the role of adminURL,
// which may become the owner of the bus. It belongs after Migrate, so that
// nothing published by the first process to start can miss a subscriber.
func Register(ctx context.Context, adminURL string, subscriptions ...bus.Subscription) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("postgresbus: register: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, s := range subscriptions {
		if err := s.Validate(); err != nil {
			return err
		}
		types := slices.Compact(slices.Sorted(slices.Values(s.Types)))
		if _, err := conn.Exec(ctx, "SELECT bus.register($1, $2, $3::interval)", s.Name, types, s.WithDefaults().Backlog); err != nil {
			return fmt.Errorf("postgresbus: register %s: %w", s.Name, err)
		}
	}
	return nil
}

// Subscribe implements bus.Bus.
func (b *Bus) Subscribe(s bus.Subscription) error {
	if err := s.ValidateHandler(); err != nil {
		return err
	}
	if b.running.Load() {
		return errRunning
	}
	ctx, cancel := context.WithTimeout(context.Background(), registerTimeout)
	defer cancel()
	if err := b.Register(ctx, s); err != nil {
		return err
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if _, dup := b.lanes[s.Name]; dup {
		return fmt.Errorf("postgresbus: %s is subscribed twice", s.Name)
	}
	s = s.WithDefaults()
	b.lanes[s.Name] = &lane{subscription: s, types: strings.Join(s.Types, ",")}
	return nil
}

// Redrive implements bus.Operator.
func (b *Bus) Redrive(ctx context.Context, subscription string) (n int, err error) {
	err = b.config.DB.Pool().QueryRow(ctx, "SELECT bus.redrive($1)", subscription).Scan(&n)
	return n, postgres.Fault(err)
}

// Replay implements bus.Operator.
func (b *Bus) Replay(ctx context.Context, subscription string, since time.Time) (total int, err error) {
	for after := int64(0); ; {
		var last *int64
		var n int
		err := b.config.DB.Pool().QueryRow(ctx, "SELECT last_seq, replayed FROM bus.replay($1, $2, $3, $4)",
			subscription, since, after, replayBatch).Scan(&last, &n)
		total += n
		if err != nil || last == nil || n < replayBatch {
			return total, postgres.Fault(err)
		}
		after = *last
	}
}

// Dead implements bus.Operator.
func (b *Bus) Dead(ctx context.Context, subscription string, limit int) ([]bus.DeadLetter, error) {
	rows, err := b.config.DB.Pool().Query(ctx, "SELECT dead_body, dead_attempts, dead_error FROM bus.dead($1, $2)", subscription, limit)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	letters, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (letter bus.DeadLetter, err error) {
		var body string
		if err := row.Scan(&body, &letter.Attempts, &letter.LastError); err != nil {
			return letter, err
		}
		return letter, letter.Event.UnmarshalJSON([]byte(body))
	})
	return letters, postgres.Fault(err)
}
