// Package natsbus is the event bus on NATS JetStream, for installations whose
// PostgreSQL has better things to do.
//
// One stream keeps the events, under commerce.event.<TYPE>; a subscription is a
// durable pull consumer of it. What a subscription gave up on goes to a second
// stream, under commerce.dead.<subscription>, and comes back under
// commerce.redrive.<subscription>, which only that subscription reads. NATS
// does not know components: who may do what is set on its accounts.
package natsbus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/fault"
)

const (
	streamEvents = "COMMERCE_EVENTS"
	streamDead   = "COMMERCE_DEAD"

	subjectEvent   = "commerce.event."
	subjectRedrive = "commerce.redrive."
	subjectDead    = "commerce.dead."

	retention     = 14 * 24 * time.Hour
	deadRetention = 90 * 24 * time.Hour
	// How long NATS ignores an id it knows. It holds these ids in memory; subscribers ignore what comes later.
	duplicates = time.Hour

	maxAckPending   = 5000
	requestTimeout  = 10 * time.Second
	registerTimeout = 15 * time.Second

	defaultLease = 30 * time.Second
	defaultDrain = 10 * time.Second
)

var errRunning = errors.New("natsbus: Run runs already")

// Config says how to reach NATS. Zero values take the defaults named here.
type Config struct {
	// URL of one or several servers, separated by commas. Required.
	URL string
	// Credentials is the path of a credentials file; "" when the URL says enough.
	Credentials string
	// AuthoritiesFile names a PEM file of authorities to trust instead of the system's. It is read again with each connection.
	AuthoritiesFile string
	// Component labels the metrics.
	Component string
	// Replicas of each stream on a cluster; 1.
	Replicas int
	// Logger takes failures of handlers and of the connection; slog.Default().
	Logger *slog.Logger
	// Registry takes the metrics commerce_bus_*; nil registers none.
	Registry prometheus.Registerer
	// Lease is how long a dead process keeps its events from others; 30 s. A living one extends it.
	Lease time.Duration
	// Drain is how long handlers may go on after Run's context ended, before theirs ends too; 10 s.
	Drain time.Duration
}

func (c *Config) setDefaults() error {
	if c.URL == "" {
		return errors.New("natsbus: URL is empty")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.Lease == 0 {
		c.Lease = defaultLease
	}
	if c.Drain == 0 {
		c.Drain = defaultDrain
	}
	return nil
}

// Bus is one component's end of the bus.
type Bus struct {
	config  Config
	metrics *bus.Metrics
	conn    *nats.Conn
	js      jetstream.JetStream
	events  jetstream.Stream
	dead    jetstream.Stream

	mutex   sync.Mutex
	lanes   map[string]*lane
	running atomic.Bool
}

var (
	_ bus.Bus       = (*Bus)(nil)
	_ bus.Registrar = (*Bus)(nil)
	_ bus.Operator  = (*Bus)(nil)
)

// New connects and makes sure that the streams exist. A connection that is
// lost later comes back by itself.
func New(ctx context.Context, config Config) (*Bus, error) {
	if err := config.setDefaults(); err != nil {
		return nil, err
	}
	options := []nats.Option{
		nats.Name("commerce-" + config.Component), nats.MaxReconnects(-1), nats.Timeout(requestTimeout),
		// Without a connection a publisher learns it, and the outbox keeps the event.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				config.Logger.WarnContext(ctx, "lost the event bus", slog.Any("cause", err))
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			config.Logger.WarnContext(ctx, "the event bus reports an error", slog.Any("cause", err))
		}),
	}
	if config.Credentials != "" {
		options = append(options, nats.UserCredentials(config.Credentials))
	}
	if config.AuthoritiesFile != "" {
		options = append(options, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13}), nats.RootCAs(config.AuthoritiesFile))
	}
	conn, err := nats.Connect(config.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("natsbus: connect: %w", unavailable(err))
	}
	b := &Bus{config: config, conn: conn, lanes: map[string]*lane{}}
	b.metrics = bus.NewMetrics(config.Component, b.depths)
	if err := b.open(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return b, nil
}

func (b *Bus) open(ctx context.Context) (err error) {
	if b.js, err = jetstream.New(b.conn, jetstream.WithDefaultTimeout(requestTimeout)); err != nil {
		return fmt.Errorf("natsbus: %w", err)
	}
	b.events, err = b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamEvents, Subjects: []string{subjectEvent + ">", subjectRedrive + ">"}, Storage: jetstream.FileStorage,
		MaxAge: retention, Duplicates: duplicates, Replicas: b.config.Replicas, AllowDirect: true,
	})
	if err != nil {
		return fmt.Errorf("natsbus: stream %s: %w", streamEvents, unavailable(err))
	}
	b.dead, err = b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamDead, Subjects: []string{subjectDead + ">"}, Storage: jetstream.FileStorage,
		MaxAge: deadRetention, Duplicates: duplicates, Replicas: b.config.Replicas,
	})
	if err != nil {
		return fmt.Errorf("natsbus: stream %s: %w", streamDead, unavailable(err))
	}
	if b.config.Registry != nil {
		if err := b.config.Registry.Register(b.metrics); err != nil {
			return fmt.Errorf("natsbus: metrics: %w", err)
		}
	}
	return nil
}

// unavailable marks failures of the connection, which heal by themselves.
func unavailable(err error) error {
	for _, lost := range []error{
		nats.ErrConnectionClosed, nats.ErrDisconnected, nats.ErrNoServers, nats.ErrTimeout, nats.ErrNoResponders,
		nats.ErrReconnectBufExceeded, jetstream.ErrNoStreamResponse, context.DeadlineExceeded,
	} {
		if errors.Is(err, lost) {
			return fault.Unavailable("event bus", time.Second).WithCause(err)
		}
	}
	return err
}

// Close implements bus.Bus.
func (b *Bus) Close() {
	if b.config.Registry != nil {
		b.config.Registry.Unregister(b.metrics)
	}
	b.conn.Close()
}

// Publish implements bus.Bus. The events of a batch travel together; it
// returns when the stream has all of them.
func (b *Bus) Publish(ctx context.Context, events []event.Event) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	acks := make([]jetstream.PubAckFuture, 0, len(events))
	for _, e := range events {
		data, err := e.MarshalJSON()
		if err != nil {
			return fmt.Errorf("natsbus: publish: %w", err)
		}
		ack, err := b.js.PublishMsgAsync(&nats.Msg{Subject: subjectEvent + e.Type, Data: data}, jetstream.WithMsgID(e.ID.String()))
		if err != nil {
			return fmt.Errorf("natsbus: publish: %w", unavailable(err))
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return fmt.Errorf("natsbus: publish: %w", unavailable(err))
		case <-ctx.Done():
			return fmt.Errorf("natsbus: publish: %w", unavailable(ctx.Err()))
		}
	}
	b.metrics.Published.Add(float64(len(events)))
	return nil
}

// Register implements bus.Registrar.
func (b *Bus) Register(ctx context.Context, subscriptions ...bus.Subscription) error {
	for _, s := range subscriptions {
		if err := s.Validate(); err != nil {
			return err
		}
		if _, err := b.register(ctx, s.WithDefaults()); err != nil {
			return fmt.Errorf("natsbus: register %s: %w", s.Name, unavailable(err))
		}
	}
	return nil
}

func (b *Bus) register(ctx context.Context, s bus.Subscription) (jetstream.Consumer, error) {
	durable := strings.ReplaceAll(s.Name, ".", "-")
	wanted := []string{subjectRedrive + s.Name}
	for _, t := range slices.Compact(slices.Sorted(slices.Values(s.Types))) {
		wanted = append(wanted, subjectEvent+t)
	}
	config := jetstream.ConsumerConfig{
		Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: b.config.Lease, MaxDeliver: -1, MaxAckPending: maxAckPending,
		FilterSubjects: wanted, DeliverPolicy: jetstream.DeliverNewPolicy,
	}
	if s.Backlog > 0 {
		start := time.Now().Add(-s.Backlog)
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &start
	}
	consumer, err := b.events.Consumer(ctx, durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = b.events.CreateConsumer(ctx, config)
		if errors.Is(err, jetstream.ErrConsumerExists) { // another replica was faster
			consumer, err = b.events.Consumer(ctx, durable)
		}
	}
	if err != nil {
		return nil, err
	}
	return b.widen(ctx, consumer, s, wanted)
}

// widen adds subjects to a consumer that exists. They are never taken away:
// during a rollout an older process must not lose what a newer one wants. What
// was published before under an added type is replayed as far as the backlog.
func (b *Bus) widen(ctx context.Context, consumer jetstream.Consumer, s bus.Subscription, wanted []string) (jetstream.Consumer, error) {
	config := consumer.CachedInfo().Config
	var added []string
	for _, subject := range wanted {
		if !slices.Contains(config.FilterSubjects, subject) {
			added = append(added, subject)
		}
	}
	if len(added) == 0 {
		return consumer, nil
	}
	config.FilterSubjects = append(config.FilterSubjects, added...)
	consumer, err := b.events.UpdateConsumer(ctx, config)
	if err != nil || s.Backlog <= 0 {
		return consumer, err
	}
	_, err = b.replay(ctx, s.Name, added, time.Now().Add(-s.Backlog))
	return consumer, err
}

// Subscribe implements bus.Bus.
func (b *Bus) Subscribe(s bus.Subscription) error {
	if err := s.ValidateHandler(); err != nil {
		return err
	}
	if b.running.Load() {
		return errRunning
	}
	s = s.WithDefaults()
	ctx, cancel := context.WithTimeout(context.Background(), registerTimeout)
	defer cancel()
	consumer, err := b.register(ctx, s)
	if err != nil {
		return fmt.Errorf("natsbus: register %s: %w", s.Name, unavailable(err))
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if _, dup := b.lanes[s.Name]; dup {
		return fmt.Errorf("natsbus: %s is subscribed twice", s.Name)
	}
	b.lanes[s.Name] = &lane{subscription: s, consumer: consumer}
	return nil
}
