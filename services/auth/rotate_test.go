package auth_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/commercestack/commercestack/services/auth"
)

func TestRotationLogsNobodyOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	before, err := b.VerificationKeys(t.Context())
	if err != nil || len(before) != 1 {
		t.Fatalf("%d keys, %v", len(before), err)
	}
	b.advance(90*24*time.Hour - 15*time.Minute)
	b.rotate(t) // pending
	b.rotate(t) // published
	if keys, _ := b.VerificationKeys(t.Context()); len(keys) != 2 {
		t.Fatalf("%d keys are published before the change", len(keys))
	}
	tokens := b.login(t, "a@example.com", goodPassword)
	b.advance(15 * time.Minute)
	b.rotate(t) // active
	fresh := b.login(t, "a@example.com", goodPassword)
	if !b.valid(t, tokens.Access) || !b.valid(t, fresh.Access) {
		t.Error("the change of keys logged somebody out")
	}
	if n := b.count(t, "SELECT count(*) FROM signing_key WHERE state = 'retiring' AND private_sealed IS NULL"); n != 1 {
		t.Error("the old key keeps its private half")
	}
	b.advance(2 * time.Hour)
	b.rotate(t) // removed
	keys, err := b.VerificationKeys(t.Context())
	if err != nil || len(keys) != 1 || keys[0].ID == before[0].ID {
		t.Errorf("keys = %v, %v", keys, err)
	}
}

func (b *bench) rotate(t *testing.T) {
	t.Helper()
	if err := b.RotateKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestProcessesRotateTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	processes := []*auth.Service{b.Service, b.open(t), b.open(t), b.open(t)}
	if _, err := b.db.Pool().Exec(t.Context(), "DELETE FROM signing_key"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"active", "pending", "published"} {
		var wg sync.WaitGroup
		for _, process := range processes {
			wg.Go(func() {
				if err := process.RotateKeys(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := b.count(t, "SELECT count(*) FROM signing_key"); n > 2 {
			t.Fatalf("%d keys in round %s", n, want)
		}
		if want == "active" {
			b.advance(90*24*time.Hour - 15*time.Minute)
		}
	}
	if n := b.count(t, "SELECT count(*) FROM signing_key WHERE state = 'active'"); n != 1 {
		t.Errorf("%d active keys", n)
	}
	// The database refuses a second signer even to a program that forgot the lock.
	_, err := b.db.Pool().Exec(t.Context(), `INSERT INTO signing_key (id, state, public_key, private_sealed, create_time, state_time)
		SELECT 'second', 'active', public_key, private_sealed, create_time, state_time FROM signing_key WHERE state = 'active'`)
	if err == nil {
		t.Error("two active keys")
	}
}

func TestALostSignerIsReplacedAtLogin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	if _, err := b.db.Pool().Exec(t.Context(), "DELETE FROM signing_key"); err != nil {
		t.Fatal(err)
	}
	b.advance(2 * time.Minute) // past the process's copy of the keys
	if tokens := b.login(t, "a@example.com", goodPassword); tokens.Access == "" {
		t.Error("no token")
	}
}

func TestADamagedKeyIsAnError(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	if _, err := b.db.Pool().Exec(t.Context(), "UPDATE signing_key SET private_sealed = 'damaged'"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.open(t).Login(t.Context(), auth.LoginInput{Email: "a@example.com", Password: goodPassword}); err == nil {
		t.Error("signed with a damaged key")
	}
}
