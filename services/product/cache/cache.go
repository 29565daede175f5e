// Package cache keeps what the catalog's public reads answer, ready encoded.
//
// Two levels: this process's memory, and Redis, which processes share. Keys
// carry the catalog's version, so one change of the catalog makes everything
// older unreachable at once. A watcher asks the database every second for the
// version and for the products whose stock moved; the process that changes
// something does not wait for it. What is read here is for showing only:
// selling decides in the database.
//
// Redis being down costs nothing but its share of the hits. The database being
// down leaves what was cached on the shelves for a while (MaxStale).
package cache

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"github.com/commercestack/commercestack/internal/fault"
)

// How old an answer may be.
const (
	// ListAge bounds answers that hold many products; their stock is not watched one by one.
	ListAge = 3 * time.Second
	// ProductAge bounds answers about one product, as long as the watcher works.
	ProductAge = time.Minute
	// BlindAge bounds every answer while the watcher does not get through.
	BlindAge = 3 * time.Second
	// MaxStale bounds what is served because the database does not answer.
	MaxStale = 10 * time.Minute

	sharedAge   = 3 * time.Second
	watchPeriod = time.Second
	// Stock changes are looked back on for longer than a shared entry lives, so that none that was read before the
	// change stays.
	watchWindow = 2 * (sharedAge + watchPeriod)
	blindAfter  = 5 * watchPeriod
	loadTimeout = 10 * time.Second
)

// Entry is one answer. Its bytes are shared and never changed.
type Entry struct {
	// Message is the answer in protobuf's binary form.
	Message []byte
	// JSON is the answer as the REST contract writes it.
	JSON []byte
	// Etag is the quoted entity tag of JSON; "" when the transport computes it.
	Etag string
	// ProductID is the product the answer is about; zero for answers about many.
	ProductID uuid.UUID
}

func (e *Entry) size() int64 {
	return int64(len(e.Message) + len(e.JSON) + len(e.Etag) + entryOverhead)
}

// Source tells what changed.
type Source interface {
	// Changes returns the catalog's version and the products whose stock moved since the time.
	Changes(ctx context.Context, since time.Time) (version int64, products []uuid.UUID, err error)
}

// Config is what a cache needs.
type Config struct {
	// Source tells what changed. Required.
	Source Source
	// Redis is the shared level; nil leaves it out.
	Redis redis.UniversalClient
	// Registry takes commerce_cache_requests_total; nil registers nothing.
	Registry prometheus.Registerer
	// Logger takes outages of Redis; slog.Default().
	Logger *slog.Logger
	// Now is the clock; time.Now.
	Now func() time.Time
	// MaxBytes bounds the memory; 32 MiB.
	MaxBytes int64
}

// Cache is both levels. It is safe for concurrent use.
type Cache struct {
	source   Source
	shared   shared
	logger   *slog.Logger
	now      func() time.Time
	local    *local
	flights  singleflight.Group
	version  atomic.Int64
	seen     atomic.Int64 // unix milliseconds of the last successful look at the source
	requests *prometheus.CounterVec
}

// New returns an empty cache. Run keeps it true.
func New(config Config) (*Cache, error) {
	c := &Cache{
		source: config.Source, logger: config.Logger, now: config.Now,
		local: newLocal(config.MaxBytes),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commerce_cache_requests_total",
			Help: "Look-ups by cache and result (hit, miss, stale).",
		}, []string{"cache", "result"}),
	}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.shared = shared{client: config.Redis, logger: c.logger, now: c.now}
	if config.Registry != nil {
		if err := config.Registry.Register(c.requests); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Run watches the source until ctx ends.
func (c *Cache) Run(ctx context.Context) error {
	ticker := time.NewTicker(watchPeriod)
	defer ticker.Stop()
	for {
		c.Refresh(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Refresh asks the source at once. A process calls it after it changed the catalog.
func (c *Cache) Refresh(ctx context.Context) {
	now := c.now()
	version, products, err := c.source.Changes(ctx, now.Add(-watchWindow))
	if err != nil {
		return // entries grow old by BlindAge
	}
	// Two looks may overtake each other; the catalog's version only rises.
	for {
		old := c.version.Load()
		if version <= old || c.version.CompareAndSwap(old, version) {
			break
		}
	}
	c.Drop(products...)
	c.seen.Store(now.UnixMilli())
}

// Drop forgets the answers about products in this process.
func (c *Cache) Drop(products ...uuid.UUID) { c.local.drop(products) }

// Product returns the answer about one product.
func (c *Cache) Product(ctx context.Context, key string, load func(context.Context) (*Entry, error)) (*Entry, error) {
	return c.get(ctx, "product", key, ProductAge, load)
}

// List returns an answer that holds many products.
func (c *Cache) List(ctx context.Context, key string, load func(context.Context) (*Entry, error)) (*Entry, error) {
	return c.get(ctx, "product_list", key, ListAge, load)
}

// Categories returns the answer that holds the category tree.
func (c *Cache) Categories(ctx context.Context, load func(context.Context) (*Entry, error)) (*Entry, error) {
	return c.get(ctx, "category", "tree", ProductAge, load)
}

func (c *Cache) get(
	ctx context.Context, group, key string, age time.Duration, load func(context.Context) (*Entry, error),
) (*Entry, error) {
	version := c.version.Load()
	id := group + ":" + key
	entry, loaded, old := c.local.get(id)
	if entry != nil && old == version && version > 0 && c.now().Sub(loaded) <= c.limit(age) {
		c.requests.WithLabelValues(group, "hit").Inc()
		return entry, nil
	}
	flight := id + ":" + strconv.FormatInt(version, 10)
	result := c.flights.DoChan(flight, func() (any, error) {
		// The load belongs to all who wait for it, not to the first one's deadline.
		loadCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return c.load(loadCtx, group, id, version, load)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-result:
		if r.Err != nil {
			if f := fault.From(r.Err); entry != nil && f != nil && f.Kind == fault.KindUnavailable && c.now().Sub(loaded) < MaxStale {
				c.requests.WithLabelValues(group, "stale").Inc()
				return entry, nil
			}
			return nil, r.Err
		}
		found, _ := r.Val.(*Entry)
		return found, nil
	}
}

// limit is the age that counts now: a cache that does not see changes trusts nothing for long.
func (c *Cache) limit(age time.Duration) time.Duration {
	if c.now().UnixMilli()-c.seen.Load() > blindAfter.Milliseconds() {
		return min(age, BlindAge)
	}
	return age
}

func (c *Cache) load(
	ctx context.Context, group, id string, version int64, load func(context.Context) (*Entry, error),
) (*Entry, error) {
	shared := id + ":" + strconv.FormatInt(version, 10)
	if version > 0 {
		if entry, loaded := c.shared.get(ctx, shared); entry != nil {
			c.requests.WithLabelValues(group, "hit").Inc()
			c.local.put(id, entry, loaded, version)
			return entry, nil
		}
	}
	c.requests.WithLabelValues(group, "miss").Inc()
	// What is loaded is at least as new as the version and the time taken before.
	loaded := c.now()
	entry, err := load(ctx)
	if err != nil {
		return nil, err
	}
	if version > 0 {
		c.local.put(id, entry, loaded, version)
		c.shared.put(ctx, shared, entry, loaded)
	}
	return entry, nil
}
