package auth_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/commercestack/commercestack/services/auth"
)

// TestARequestMakesOneKey: however many processes start with a request, one key
// is published at once, signs after its lead, and tokens of the old one hold.
func TestARequestMakesOneKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	old := b.login(t, "a@example.com", goodPassword)
	ask := func(request string) []*auth.Service {
		var processes []*auth.Service
		for range 4 {
			processes = append(processes, b.open(t, func(c *auth.Config) { c.KeyRequest = request }))
		}
		return processes
	}
	start := func(processes []*auth.Service) {
		t.Helper()
		var running sync.WaitGroup
		for _, process := range processes {
			running.Go(func() {
				if err := process.RotateKeys(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
	}
	published := func() int { return b.count(t, "SELECT count(*) FROM signing_key WHERE state = 'published'") }
	asked := ask("request-1")
	for range 3 {
		start(asked)
		if n := published(); n != 1 {
			t.Fatalf("%d keys are published", n)
		}
	}
	if n := b.count(t, "SELECT count(*) FROM signing_key"); n != 2 {
		t.Errorf("%d keys for one request", n)
	}
	b.advance(14 * time.Minute)
	start(asked)
	if published() != 1 {
		t.Error("the key signs before verifiers know it")
	}
	b.advance(time.Minute)
	start(asked)
	if published() != 0 {
		t.Error("the key does not sign in time")
	}
	b.advance(2 * time.Minute) // past the process's copy of the keys
	fresh := b.login(t, "a@example.com", goodPassword)
	if !b.valid(t, old.Access) || !b.valid(t, fresh.Access) {
		t.Error("the change of keys logged somebody out")
	}
	// A process that still has the last request makes nothing of it.
	start(append(ask("request-2"), asked...))
	start(asked)
	start(ask(""))
	if n := b.count(t, "SELECT count(*) FROM signing_key"); n != 3 || published() != 1 {
		t.Errorf("%d keys for two requests", n)
	}
}
