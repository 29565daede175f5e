package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newRedis(t testing.TB) (*miniredis.Miniredis, *redis.Client) {
	t.Helper()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	return server, client
}

func spend(l limiter, policy Policy, key string, calls int) (allowed int, last Decision) {
	for range calls {
		if last = l.allow(context.Background(), policy, key); last.Allowed {
			allowed++
		}
	}
	return allowed, last
}

func TestLocalLimiter(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLocalLimiter(c.now)
	policy := Policy{Name: "read", Rate: 10, Period: time.Second, Burst: 20}
	allowed, last := spend(l, policy, "a", 30)
	if allowed != 20 || last.Allowed || last.Remaining != 0 || last.RetryAfter <= 0 || last.RetryAfter > 100*time.Millisecond {
		t.Errorf("%d allowed, %+v", allowed, last)
	}
	if last.Reset < 1900*time.Millisecond || last.Reset > 2*time.Second {
		t.Errorf("reset %v", last.Reset)
	}
	if allowed, _ := spend(l, policy, "b", 1); allowed != 1 {
		t.Error("another caller pays for the first")
	}
	c.move(last.RetryAfter + time.Microsecond)
	if allowed, _ := spend(l, policy, "a", 5); allowed != 1 {
		t.Errorf("after the told pause %d are allowed", allowed)
	}
	c.move(time.Hour)
	if allowed, _ := spend(l, policy, "a", 30); allowed != 20 {
		t.Errorf("an hour later %d are allowed", allowed)
	}
	if len(l.buckets) != 1 {
		t.Errorf("%d buckets are kept", len(l.buckets))
	}
}

func TestLocalLimiterNeverAllowsMoreThanThePolicy(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := newClock()
		l := newLocalLimiter(c.now)
		policy := Policy{Name: "p", Rate: rapid.IntRange(1, 50).Draw(rt, "rate"), Period: time.Second, Burst: rapid.IntRange(1, 50).Draw(rt, "burst")}
		started, allowed := c.now(), 0
		for range rapid.IntRange(1, 200).Draw(rt, "calls") {
			c.move(time.Duration(rapid.IntRange(0, 100).Draw(rt, "ms")) * time.Millisecond)
			n, decision := spend(l, policy, "k", 1)
			allowed += n
			if decision.Remaining < 0 || decision.Reset < 0 || !decision.Allowed && decision.RetryAfter <= 0 {
				rt.Fatalf("%+v", decision)
			}
		}
		if most := float64(policy.Burst) + c.now().Sub(started).Seconds()*float64(policy.Rate); float64(allowed) > most+1e-6 {
			rt.Fatalf("%d allowed, at most %f", allowed, most)
		}
	})
}

func TestRedisLimiterSharesTheCount(t *testing.T) {
	t.Parallel()
	_, client := newRedis(t)
	policy := Policy{Name: "credentials", Rate: 5, Period: time.Hour, Burst: 5, Exact: true}
	one := newRedisLimiter(client, slog.New(slog.DiscardHandler), time.Now)
	other := newRedisLimiter(client, slog.New(slog.DiscardHandler), time.Now)
	first, _ := spend(one, policy, "k", 3)
	second, last := spend(other, policy, "k", 5)
	if first != 3 || second != 2 {
		t.Errorf("%d and %d are allowed together", first, second)
	}
	if last.Allowed || last.RetryAfter <= 0 || last.RetryAfter > time.Hour {
		t.Errorf("%+v", last)
	}
}

func TestRedisLimiterTakesLeases(t *testing.T) {
	t.Parallel()
	server, client := newRedis(t)
	c := newClock()
	l := newRedisLimiter(client, slog.New(slog.DiscardHandler), c.now)
	policy := Policy{Name: "read", Rate: 1, Period: time.Hour, Burst: 100}
	before := server.CommandCount()
	allowed, last := spend(l, policy, "k", 20)
	if asked := server.CommandCount() - before; allowed != 20 || asked > 10 {
		t.Errorf("%d allowed with %d questions", allowed, asked)
	}
	if last.Remaining != 80 {
		t.Errorf("%d remain", last.Remaining)
	}
	if _, next := spend(l, policy, "k", 1); next.Remaining != 79 {
		t.Errorf("the next says %d", next.Remaining)
	}
	// What a lease holds is given up when it ends: at most that many are lost.
	c.move(2 * leaseLife)
	allowed, last = spend(l, policy, "k", 200)
	if allowed != 60 || last.Allowed || last.RetryAfter <= 0 {
		t.Errorf("%d are allowed after the lease ended: %+v", allowed, last)
	}
}

func TestLeasesAreForgotten(t *testing.T) {
	t.Parallel()
	_, client := newRedis(t)
	c := newClock()
	l := newRedisLimiter(client, slog.New(slog.DiscardHandler), c.now)
	for i := range 100_001 {
		l.store(strconv.Itoa(i), lease{left: 1, expires: c.now()}, c.now())
	}
	c.move(time.Second)
	l.store("fresh", lease{left: 1, expires: c.now().Add(time.Second)}, c.now())
	if len(l.leases) != 1 {
		t.Errorf("%d leases are kept", len(l.leases))
	}
}

func TestTrap26RedisDiesInMidFlight(t *testing.T) {
	t.Parallel()
	server, client := newRedis(t)
	log := &syncBuffer{}
	c := newClock()
	l := newRedisLimiter(client, slog.New(slog.NewTextHandler(log, nil)), c.now)
	policy := Policy{Name: "credentials", Rate: 5, Period: time.Minute, Burst: 5, Exact: true}
	if allowed, _ := spend(l, policy, "k", 2); allowed != 2 {
		t.Fatalf("%d allowed", allowed)
	}
	server.Close()
	// Neither everything refused nor everything allowed.
	if allowed, _ := spend(l, policy, "k", 100); allowed != 5 {
		t.Errorf("without Redis %d of 100 are allowed", allowed)
	}
	if told := strings.Count(log.String(), "redis does not answer"); told != 1 {
		t.Errorf("told %d times", told)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	c.move(redisRetry + time.Millisecond)
	server.FlushAll()
	if allowed, _ := spend(l, policy, "k", 100); allowed != 5 || !server.Exists("rate:commerce:limit:k") {
		t.Errorf("Redis is not asked again: %d allowed, keys %v", allowed, server.Keys())
	}
}

func TestLimitsOverHTTP(t *testing.T) {
	t.Parallel()
	server, client := newRedis(t)
	for name, change := range map[string]func(*Options){
		"counted here": nil, "counted in Redis": func(o *Options) { o.Redis = client },
		"Redis gone": func(o *Options) {
			o.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
			t.Cleanup(func() { _ = o.Redis.Close() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			behind := newShop(t)
			d := newDoor(t, behind, func(o *Options) {
				o.Config.Policies = map[string]Policy{"read": {Name: "read", Rate: 2, Period: time.Minute, Burst: 2, Exact: true}}
				if change != nil {
					change(o)
				}
			})
			key := strings.ReplaceAll(name, " ", "-")
			first := d.call(t, "GET", "/api/v1/products", "", d.bearer(t, key, time.Hour))
			if first.status != 200 || first.header.Get("RateLimit") != `"read";r=1;t=30` || first.header.Get("RateLimit-Policy") != `"read";q=2;w=60` {
				t.Errorf("%d %q %q", first.status, first.header.Get("RateLimit"), first.header.Get("RateLimit-Policy"))
			}
			d.call(t, "GET", "/api/v1/products", "", d.bearer(t, key, time.Hour))
			before := behind.calls()
			got := d.call(t, "GET", "/api/v1/products", "", d.bearer(t, key, time.Hour))
			code, _, _ := got.failure(t)
			after, err := strconv.Atoi(got.header.Get("Retry-After"))
			if got.status != http.StatusTooManyRequests || code != "RATE_LIMIT" || err != nil || after < 1 || after > 30 || !strings.Contains(got.header.Get("RateLimit"), "r=0") {
				t.Errorf("%d %v %s", got.status, got.header, got.text)
			}
			rpc := d.call(t, "POST", "/commerce.product.v1.ProductService/ListProducts", "{}", d.bearer(t, key, time.Hour), "Connect-Protocol-Version: 1")
			if rpc.status != http.StatusTooManyRequests || !strings.Contains(rpc.text, "resource_exhausted") || rpc.header.Get("Retry-After") == "" {
				t.Errorf("over Connect, where the same endpoint counts on: %d %v %s", rpc.status, rpc.header, rpc.text)
			}
			if behind.calls() != before {
				t.Error("a refused call reached the component")
			}
			if other := d.call(t, "GET", "/api/v1/products", "", d.bearer(t, key+"-other", time.Hour)); other.status != 200 {
				t.Errorf("another user pays: %d", other.status)
			}
			if other := d.call(t, "GET", "/api/v1/categories", "", d.bearer(t, key, time.Hour)); other.status == http.StatusTooManyRequests {
				t.Error("another endpoint is limited")
			}
			if write := d.call(t, "POST", "/api/v1/orders", `{}`); write.header.Get("RateLimit") != "" {
				t.Error("a policy that is switched off counts")
			}
			families, err := d.registry.Gather()
			if err != nil || !strings.Contains(fmt.Sprint(families), "commerce_http_rate_limited_total") {
				t.Errorf("refusals are not counted (%v)", err)
			}
		})
	}
	_ = server
}

func TestTrap26LimitsCountTheRightAddress(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), func(o *Options) {
		o.Config.TrustedProxies = []string{"127.0.0.1"}
		o.Config.Policies = map[string]Policy{
			"read":        {Name: "read", Rate: 1, Period: time.Hour, Burst: 1},
			"credentials": {Name: "credentials", Rate: 1, Period: time.Hour, Burst: 1},
		}
	})
	statuses := func(path string, forwarded ...string) (all []int) {
		for _, from := range forwarded {
			all = append(all, d.call(t, "GET", path, "", "X-Forwarded-For: "+from).status)
		}
		return all
	}
	if got := fmt.Sprint(statuses("/api/v1/products", "198.51.100.1", "1.1.1.1, 198.51.100.1", "2.2.2.2, 198.51.100.1", "198.51.100.2")); got != "[200 429 429 200]" {
		t.Errorf("a client that makes addresses up gets %s", got)
	}
	if got := fmt.Sprint(statuses("/nothing/a", "198.51.100.3")) + fmt.Sprint(statuses("/nothing/b", "198.51.100.3")); got != "[404][429]" {
		t.Errorf("a scan gets %s", got)
	}
	if got := fmt.Sprint(statuses("/api/v1/products", "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")); got != "[200 429 200]" {
		t.Errorf("one IPv6 subscriber gets %s", got)
	}
	// Guessing tokens counts by address, before the verdict.
	forged := newTokens(t).bearer(t, userID, time.Hour)
	first := d.call(t, "GET", "/api/v1/orders", "", forged, "X-Forwarded-For: 198.51.100.9").status
	second := d.call(t, "GET", "/api/v1/orders", "", forged, "X-Forwarded-For: 198.51.100.9").status
	if first != 401 || second != 429 {
		t.Errorf("guessing tokens gets %d, %d", first, second)
	}
}

func TestLimitAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "": "", "nonsense": "nonsense",
	} {
		if got := limitAddress(address); got != want {
			t.Errorf("%q counts as %q", address, got)
		}
	}
}

func TestConcurrentLeaseIsNotOverspent(t *testing.T) {
	t.Parallel()
	_, client := newRedis(t)
	l := newRedisLimiter(client, slog.New(slog.DiscardHandler), time.Now)
	l.timeout = 5 * time.Second
	policy := Policy{Name: "read", Rate: 1, Period: time.Hour, Burst: 60}
	var allowed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			n, _ := spend(l, policy, "k", 20)
			allowed.Add(int64(n))
		})
	}
	all.Wait()
	if n := allowed.Load(); n > 60 || n < 1 {
		t.Errorf("%d of 60 are allowed", n)
	}
}

func TestCeilSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int{-time.Second: 0, 0: 0, 1: 1, time.Second: 1, time.Second + 1: 2, time.Minute: 60} {
		if got := ceilSeconds(d); got != want {
			t.Errorf("%v: %d", d, got)
		}
	}
}
