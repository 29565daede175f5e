package throttle

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(1_800_000_000 * int64(time.Second))
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// backends runs a test on Redis, in the process, and on a Redis that does not answer.
func backends(t *testing.T, test func(t *testing.T, throttle *Throttle, advance func(time.Duration))) {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		server, c := miniredis.RunT(t), newClock()
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		t.Cleanup(func() { _ = client.Close() })
		throttle := New(client, c.now, logger)
		test(t, throttle, func(d time.Duration) { c.advance(d); server.FastForward(d) })
		if len(throttle.local.counts) != 0 {
			t.Error("counted in the process although Redis is there")
		}
	})
	t.Run("process", func(t *testing.T) {
		t.Parallel()
		c := newClock()
		test(t, New(nil, c.now, logger), c.advance)
	})
	t.Run("redis down", func(t *testing.T) {
		t.Parallel()
		server, c := miniredis.RunT(t), newClock()
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
		t.Cleanup(func() { _ = client.Close() })
		server.Close()
		test(t, New(client, c.now, logger), c.advance)
	})
}

func TestGuessing(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, throttle *Throttle, advance func(time.Duration)) {
		guess := func() time.Duration { return throttle.Guess(t.Context(), "a@example.com", "192.0.2.1") }
		for i := range pairPolicy.free {
			if wait := guess(); wait != 0 {
				t.Fatalf("attempt %d waits %v", i+1, wait)
			}
		}
		for want := time.Second; want <= 8*time.Second; want *= 2 {
			if wait := guess(); wait != 0 {
				t.Fatalf("after its wait an attempt is refused for %v", wait)
			}
			if wait := guess(); wait != want {
				t.Fatalf("waits %v, want %v", wait, want)
			}
			if wait := throttle.Guess(t.Context(), "a@example.com", "192.0.2.2"); wait != 0 {
				t.Fatalf("the owner at another address waits %v", wait)
			}
			if wait := throttle.Guess(t.Context(), "b@example.com", "192.0.2.1"); wait != 0 {
				t.Fatalf("another account waits %v", wait)
			}
			advance(want)
		}
		guess()
		throttle.Forgive(t.Context(), "a@example.com", "192.0.2.1")
		for range pairPolicy.free {
			if wait := guess(); wait != 0 {
				t.Fatalf("forgiven, yet waits %v", wait)
			}
		}
	})
}

func TestManyAccountsFromOneAddress(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, throttle *Throttle, advance func(time.Duration)) {
		guess := func(i int, address string) time.Duration {
			return throttle.Guess(t.Context(), fmt.Sprintf("%d@example.com", i), address)
		}
		for i := range int(addressPolicy.free) + 1 {
			if wait := guess(i, "2001:db8::1"); wait != 0 {
				t.Fatalf("attempt %d waits %v", i, wait)
			}
		}
		if wait := guess(1000, "2001:db8::ffff"); wait == 0 {
			t.Error("the next address of the same /64 does not wait")
		}
		if wait := guess(1001, "2001:db8:0:1::1"); wait != 0 {
			t.Errorf("another network waits %v", wait)
		}
		advance(addressPolicy.memory + time.Minute)
		if wait := guess(1002, "2001:db8::1"); wait != 0 {
			t.Errorf("waits %v after an hour: locked for good", wait)
		}
	})
}

func TestManyPeopleBehindOneAddress(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, throttle *Throttle, _ func(time.Duration)) {
		for i := range 10 * int(addressPolicy.free) {
			email := fmt.Sprintf("%d@example.com", i)
			if wait := throttle.Guess(t.Context(), email, "192.0.2.1"); wait != 0 {
				t.Fatalf("login %d waits %v", i, wait)
			}
			throttle.Forgive(t.Context(), email, "192.0.2.1")
		}
		for i := range int(addressPolicy.free) + 1 {
			if wait := throttle.Guess(t.Context(), fmt.Sprintf("%d@example.org", i), "192.0.2.1"); wait != 0 {
				t.Fatalf("guess %d waits %v", i, wait)
			}
			if i == int(addressPolicy.free) {
				break
			}
			// An attacker's own logins between the guesses buy nothing.
			throttle.Guess(t.Context(), "attacker@example.com", "192.0.2.1")
			throttle.Forgive(t.Context(), "attacker@example.com", "192.0.2.1")
		}
		if throttle.Guess(t.Context(), "x@example.org", "192.0.2.1") == 0 {
			t.Error("guesses between an attacker's own logins are free")
		}
	})
}

func TestUnknownAddressCountsTheAccount(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, throttle *Throttle, _ func(time.Duration)) {
		for range accountPolicy.free + 1 {
			if wait := throttle.Guess(t.Context(), "a@example.com", "unknown"); wait != 0 {
				t.Fatalf("waits %v", wait)
			}
		}
		if throttle.Guess(t.Context(), "a@example.com", "") == 0 {
			t.Error("never waits")
		}
	})
}

func TestMail(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, throttle *Throttle, advance func(time.Duration)) {
		for i := range mailPolicy.free + 1 {
			if !throttle.Mail(t.Context(), "a@example.com") {
				t.Fatalf("mail %d refused", i+1)
			}
		}
		if throttle.Mail(t.Context(), "a@example.com") {
			t.Error("a full mailbox gets more")
		}
		advance(mailPolicy.first)
		if !throttle.Mail(t.Context(), "a@example.com") {
			t.Error("refused for good")
		}
	})
}

func TestParallelGuessesAreAllCounted(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, throttle *Throttle, _ func(time.Duration)) {
		var passed atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if throttle.Guess(t.Context(), "a@example.com", "192.0.2.1") == 0 {
					passed.Add(1)
				}
			})
		}
		wg.Wait()
		if want := pairPolicy.free + 1; passed.Load() != want {
			t.Errorf("%d parallel guesses passed, want %d", passed.Load(), want)
		}
	})
}

func TestPolicyNeverLocksForGood(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]policy{pairPolicy, accountPolicy, addressPolicy, mailPolicy}).Draw(t, "policy")
		now, c := time.Unix(1_800_000_000, 0), count{}
		for range rapid.IntRange(1, 200).Draw(t, "attempts") {
			before := c
			var wait time.Duration
			c, wait = p.attempt(c, now)
			if wait < 0 || wait > p.limit {
				t.Fatalf("waits %v, limit %v", wait, p.limit)
			}
			if wait > 0 && c != before {
				t.Fatal("a refused attempt was counted")
			}
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*p.limit)).Draw(t, "pause")))
		}
		if _, wait := p.attempt(c, c.until); wait != 0 {
			t.Fatalf("after its wait an attempt is refused for %v", wait)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	throttle := New(nil, c.now, slog.New(slog.DiscardHandler))
	for i := range maxKeys + 500 {
		throttle.Guess(t.Context(), fmt.Sprintf("%d@example.com", i), fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
	}
	if len(throttle.local.counts) > maxKeys {
		t.Errorf("%d counts are kept", len(throttle.local.counts))
	}
	c.advance(24 * time.Hour)
	throttle.local.makeRoom(maxKeys, c.now())
	if len(throttle.local.counts) != 0 {
		t.Errorf("%d expired counts are kept", len(throttle.local.counts))
	}
}
