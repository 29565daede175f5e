package password

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/fault"
)

func newHasher(t *testing.T, config Config) *Hasher {
	t.Helper()
	if config.MemoryKiB == 0 {
		config.MemoryKiB = 64
	}
	return New(config)
}

func TestHashAndVerify(t *testing.T) {
	t.Parallel()
	hasher := newHasher(t, Config{})
	hash, err := hasher.Hash(t.Context(), "pässword one") // composed
	if err != nil {
		t.Fatal(err)
	}
	again, err := hasher.Hash(t.Context(), "pässword one")
	if err != nil || again == hash {
		t.Fatalf("two hashes of one password are equal (%v): no salt", err)
	}
	tests := []struct {
		name, password, hash string
		match                bool
	}{
		{"right", "pässword one", hash, true},
		{"right, decomposed", "pa\u0308ssword one", hash, true},
		{"wrong", "password one", hash, false},
		{"empty password", "", hash, false},
		{"no account", "pässword one", "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			match, outdated, err := hasher.Verify(t.Context(), test.password, test.hash)
			if err != nil || match != test.match || outdated {
				t.Errorf("match = %v, outdated = %v, %v", match, outdated, err)
			}
		})
	}
}

func TestOutdatedParameters(t *testing.T) {
	t.Parallel()
	old, err := newHasher(t, Config{MemoryKiB: 32}).Hash(t.Context(), "secret word")
	if err != nil {
		t.Fatal(err)
	}
	hasher := newHasher(t, Config{MemoryKiB: 64})
	if match, outdated, err := hasher.Verify(t.Context(), "secret word", old); !match || !outdated || err != nil {
		t.Errorf("match = %v, outdated = %v, %v", match, outdated, err)
	}
	if match, outdated, err := hasher.Verify(t.Context(), "another", old); match || outdated || err != nil {
		t.Errorf("a wrong password: match = %v, outdated = %v, %v", match, outdated, err)
	}
}

func TestMalformedHashIsAnError(t *testing.T) {
	t.Parallel()
	if _, _, err := newHasher(t, Config{}).Verify(t.Context(), "x", "not a hash"); err == nil {
		t.Error("accepted")
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got := Config{}.withDefaults()
	if got.MemoryKiB != 65536 || got.Passes != 1 || got.Lanes != 1 || got.Concurrent < 1 || got.Queue != 32 {
		t.Errorf("%+v", got)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	hasher := newHasher(t, Config{Concurrent: 2, Queue: 3})
	release := make(chan struct{})
	started := make(chan struct{}, 5)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if err := hasher.turn(context.Background(), func() error {
				started <- struct{}{}
				<-release
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	<-started
	<-started
	for len(hasher.waiting) < 5 {
		time.Sleep(time.Millisecond)
	}
	if len(started) != 0 {
		t.Error("a third hash runs")
	}
	if _, err := hasher.Hash(t.Context(), "one too many"); fault.From(err) == nil ||
		fault.From(err).Kind != fault.KindUnavailable || fault.From(err).RetryAfter <= 0 {
		t.Errorf("a full queue answers %v", err)
	}
	close(release)
	wg.Wait()
	if _, err := hasher.Hash(t.Context(), "later"); err != nil {
		t.Errorf("after the burst: %v", err)
	}
}

func TestWaitingEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	hasher := newHasher(t, Config{Concurrent: 1, Queue: 1})
	hasher.running <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := hasher.Verify(ctx, "x", ""); fault.From(err) == nil {
		t.Errorf("error = %v", err)
	}
	if len(hasher.waiting) != 0 {
		t.Error("the place in the queue is lost")
	}
}
