package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"
)

// Policy is a rate limit: Rate calls every Period for one caller and one
// endpoint, with bursts up to Burst. A Rate of 0 switches the policy off.
type Policy struct {
	// Name of the policy in the RateLimit headers, such as "read".
	Name string
	// Rate is the number of calls allowed in each Period.
	Rate int
	// Period is the window of Rate.
	Period time.Duration
	// Burst is how many calls may come at once.
	Burst int
	// Exact policies ask Redis at each call. Others take a few calls at a time,
	// which may overshoot by that many on each gateway and costs far less.
	Exact bool
}

// Decision is the answer of a limiter.
type Decision struct {
	// Allowed is true when the call may go on.
	Allowed bool
	// Remaining calls before the limit.
	Remaining int
	// RetryAfter is how long to wait when the call was refused.
	RetryAfter time.Duration
	// Reset is when the full burst is available again.
	Reset time.Duration
}

// limiter counts calls by key.
type limiter interface {
	allow(ctx context.Context, policy Policy, key string) Decision
}

// localLimiter counts in this process: exact with one gateway, and the
// fallback of several while Redis is gone.
type localLimiter struct {
	mu      sync.Mutex
	buckets map[string]*bucket
	sweepAt time.Time
	now     func() time.Time
}

type bucket struct {
	limiter *rate.Limiter
	seen    time.Time
}

// bucketIdle is how long an unused bucket is kept; every policy has refilled by then.
const bucketIdle = 10 * time.Minute

func newLocalLimiter(now func() time.Time) *localLimiter {
	return &localLimiter{buckets: make(map[string]*bucket), now: now}
}

func (l *localLimiter) allow(_ context.Context, policy Policy, key string) Decision {
	now := l.now()
	perSecond := float64(policy.Rate) / policy.Period.Seconds()
	l.mu.Lock()
	l.sweep(now)
	entry, ok := l.buckets[key]
	if !ok {
		entry = &bucket{limiter: rate.NewLimiter(rate.Limit(perSecond), policy.Burst)}
		l.buckets[key] = entry
	}
	entry.seen = now
	l.mu.Unlock()

	allowed := entry.limiter.AllowN(now, 1)
	tokens := entry.limiter.TokensAt(now)
	decision := Decision{Allowed: allowed, Remaining: max(0, int(tokens))}
	decision.Reset = time.Duration((float64(policy.Burst) - tokens) / perSecond * float64(time.Second))
	if !allowed {
		decision.RetryAfter = time.Duration((1 - tokens) / perSecond * float64(time.Second))
	}
	return decision
}

// sweep forgets idle buckets, so that a scan from many addresses does not keep memory.
func (l *localLimiter) sweep(now time.Time) {
	if now.Before(l.sweepAt) {
		return
	}
	l.sweepAt = now.Add(time.Minute)
	for key, entry := range l.buckets {
		if now.Sub(entry.seen) > bucketIdle {
			delete(l.buckets, key)
		}
	}
}

// redisLimiter shares the count among gateways. It takes calls in leases, and
// falls back to the local count for a while when Redis does not answer: an
// error would turn every request into a 500, no limit at all would open the
// login to guessing.
type redisLimiter struct {
	shared   *redis_rate.Limiter
	fallback *localLimiter
	logger   *slog.Logger
	now      func() time.Time
	timeout  time.Duration

	brokenUntil atomic.Int64

	mu     sync.Mutex
	leases map[string]*lease
}

// lease is a number of calls taken from Redis and not used yet.
type lease struct {
	left    int
	expires time.Time
	last    Decision
}

const (
	leaseSize  = 20
	leaseLife  = time.Second
	redisRetry = 2 * time.Second
)

func newRedisLimiter(client redis.UniversalClient, logger *slog.Logger, now func() time.Time) *redisLimiter {
	return &redisLimiter{
		shared: redis_rate.NewLimiter(client), fallback: newLocalLimiter(now), logger: logger, now: now,
		timeout: 100 * time.Millisecond, leases: make(map[string]*lease),
	}
}

func (l *redisLimiter) allow(ctx context.Context, policy Policy, key string) Decision {
	now := l.now()
	if now.UnixNano() < l.brokenUntil.Load() {
		return l.fallback.allow(ctx, policy, key)
	}
	size := 1
	if !policy.Exact && policy.Burst >= 2*leaseSize {
		size = leaseSize
		if decision, ok := l.spend(key, now); ok {
			return decision
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	defer cancel()
	limit := redis_rate.Limit{Rate: policy.Rate, Period: policy.Period, Burst: policy.Burst}
	result, err := l.shared.AllowAtMost(ctx, "commerce:limit:"+key, limit, size)
	if err != nil {
		l.brokenUntil.Store(now.Add(redisRetry).UnixNano())
		l.logger.WarnContext(ctx, "rate limits are counted by each gateway alone: redis does not answer", slog.Any("error", err))
		return l.fallback.allow(ctx, policy, key)
	}
	decision := Decision{Allowed: result.Allowed > 0, Remaining: result.Remaining, Reset: result.ResetAfter}
	if !decision.Allowed {
		decision.RetryAfter = max(result.RetryAfter, time.Millisecond)
		return decision
	}
	if result.Allowed > 1 {
		l.store(key, lease{left: result.Allowed - 1, expires: now.Add(leaseLife), last: decision}, now)
		decision.Remaining += result.Allowed - 1
	}
	return decision
}

// spend uses a call of a live lease.
func (l *redisLimiter) spend(key string, now time.Time) (Decision, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, ok := l.leases[key]
	if !ok || held.left == 0 || now.After(held.expires) {
		return Decision{}, false
	}
	held.left--
	decision := held.last
	decision.Remaining += held.left
	return decision, true
}

func (l *redisLimiter) store(key string, fresh lease, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.leases) > 100_000 {
		for other, held := range l.leases {
			if now.After(held.expires) {
				delete(l.leases, other)
			}
		}
	}
	l.leases[key] = &fresh
}

// headers renders the answer in the form of draft-ietf-httpapi-ratelimit-headers:
// q quota, w window in seconds, r remaining, t seconds to reset.
func (d Decision) headers(policy Policy) (limit, limitPolicy string) {
	limit = fmt.Sprintf("%q;r=%d;t=%d", policy.Name, d.Remaining, ceilSeconds(d.Reset))
	limitPolicy = fmt.Sprintf("%q;q=%d;w=%d", policy.Name, policy.Rate, ceilSeconds(policy.Period))
	return limit, limitPolicy
}

func ceilSeconds(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int((d + time.Second - 1) / time.Second)
}
