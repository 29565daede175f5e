package auth_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/services/auth"
)

func (b *bench) refresh(t *testing.T, token string) auth.Tokens {
	t.Helper()
	tokens, err := b.Refresh(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestTrap19RotationAndGrace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	first := b.login(t, "a@example.com", goodPassword)
	second := b.refresh(t, first.Refresh)
	if second.Refresh == first.Refresh {
		t.Fatal("the refresh token was not rotated")
	}
	// A lost answer or a second tab: the same successor, as long as the grace lasts.
	b.advance(44 * time.Second)
	if again := b.refresh(t, first.Refresh); again.Refresh != second.Refresh {
		t.Error("within the grace another successor is returned")
	}
	third := b.refresh(t, second.Refresh)
	if !b.valid(t, third.Access) {
		t.Error("the chain broke")
	}
	if n := b.count(t, "SELECT count(*) FROM refresh_token WHERE used_time IS NULL"); n != 1 {
		t.Errorf("%d live tokens in one family", n)
	}
}

func TestTrap19ReuseRevokesThatFamilyOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	stolen, other := b.login(t, "a@example.com", goodPassword), b.login(t, "a@example.com", goodPassword)
	current := b.refresh(t, stolen.Refresh)
	b.advance(46 * time.Second)
	if _, err := b.Refresh(t.Context(), stolen.Refresh); err == nil {
		t.Fatal("a replayed token is accepted after the grace")
	}
	if _, err := b.Refresh(t.Context(), current.Refresh); err == nil {
		t.Error("the family of a replayed token lives on")
	}
	if b.valid(t, current.Access) {
		t.Error("an access token of the revoked family is valid")
	}
	b.refresh(t, other.Refresh)
	if n := b.count(t, "SELECT count(*) FROM audit_log WHERE action = 'auth.refresh_token_replayed'"); n != 1 {
		t.Errorf("%d audit rows", n)
	}
}

func TestTrap19ConcurrentRefreshesGetOneSuccessor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	first := b.login(t, "a@example.com", goodPassword)
	other := b.open(t) // another process
	var (
		wg         sync.WaitGroup
		mu         sync.Mutex
		successors = map[string]int{}
	)
	for i := range 16 {
		service := b.Service
		if i%2 == 1 {
			service = other
		}
		wg.Go(func() {
			tokens, err := service.Refresh(context.Background(), first.Refresh)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			successors[tokens.Refresh]++
		})
	}
	wg.Wait()
	if len(successors) != 1 {
		t.Errorf("16 tabs got %d successors", len(successors))
	}
	if n := b.count(t, "SELECT count(*) FROM refresh_token"); n != 2 {
		t.Errorf("%d tokens in the family, want 2", n)
	}
}

func TestTrap19RefreshNeverBeatsRevocation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	for range 10 {
		tokens := b.login(t, "a@example.com", goodPassword)
		var wg sync.WaitGroup
		var refreshed auth.Tokens
		wg.Go(func() { refreshed, _ = b.Refresh(context.Background(), tokens.Refresh) })
		wg.Go(func() {
			if err := b.Logout(context.Background(), tokens.Refresh); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if refreshed.Refresh != "" {
			if _, err := b.Refresh(t.Context(), refreshed.Refresh); err == nil {
				t.Fatal("a session survives its logout")
			}
			if b.valid(t, refreshed.Access) {
				t.Fatal("an access token survives its logout")
			}
		}
	}
}

func TestRefreshTokensAreStoredHashedAndSealed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	first := b.login(t, "a@example.com", goodPassword)
	second := b.refresh(t, first.Refresh)
	for _, token := range []string{first.Refresh, second.Refresh} {
		if n := b.count(t, `SELECT count(*) FROM refresh_token t WHERE position(convert_to($1, 'UTF8') IN t.hash) > 0
			OR position(convert_to($1, 'UTF8') IN coalesce(t.successor_sealed, '')) > 0`, token); n != 0 {
			t.Error("a refresh token stands in the database in clear")
		}
	}
	b.advance(time.Minute)
	if err := b.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := b.count(t, "SELECT count(*) FROM refresh_token WHERE successor_sealed IS NOT NULL"); n != 0 {
		t.Error("a sealed successor is kept after the grace")
	}
	b.refresh(t, second.Refresh)
}

func TestSessionsExpire(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	tokens := b.login(t, "a@example.com", goodPassword)
	b.advance(29 * 24 * time.Hour)
	tokens = b.refresh(t, tokens.Refresh) // every use gives 30 more days
	b.advance(30*24*time.Hour + time.Second)
	if _, err := b.Refresh(t.Context(), tokens.Refresh); err == nil {
		t.Error("an expired refresh token is accepted")
	}
	if _, err := b.Refresh(t.Context(), "invented"); err == nil {
		t.Error("an invented refresh token is accepted")
	}
	if err := b.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := b.count(t, "SELECT (SELECT count(*) FROM session) + (SELECT count(*) FROM refresh_token)"); n != 0 {
		t.Errorf("%d expired rows are kept", n)
	}
}

// TestTrap19RefreshModel holds every sequence of uses, waits and logouts to the rule of one family.
func TestTrap19RefreshModel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	rapid.Check(t, func(r *rapid.T) {
		tokens := []string{b.login(t, "a@example.com", goodPassword).Refresh}
		used := map[int]time.Time{}
		alive := true
		for range rapid.IntRange(1, 8).Draw(r, "steps") {
			switch rapid.IntRange(0, 9).Draw(r, "step") {
			case 0:
				if err := b.Logout(t.Context(), tokens[rapid.IntRange(0, len(tokens)-1).Draw(r, "logout")]); err != nil {
					r.Fatal(err)
				}
				alive = false
			case 1, 2:
				b.advance(time.Duration(rapid.IntRange(1, 60).Draw(r, "seconds")) * time.Second)
			default:
				i := rapid.IntRange(0, len(tokens)-1).Draw(r, "token")
				at, wasUsed := used[i]
				grace := wasUsed && b.now().Before(at.Add(45*time.Second))
				got, err := b.Refresh(t.Context(), tokens[i])
				if want := alive && (!wasUsed || grace); want != (err == nil) {
					r.Fatalf("token %d: alive %v, used %v, in grace %v: %v", i, alive, wasUsed, grace, err)
				}
				switch {
				case err != nil && wasUsed && !grace:
					alive = false
				case err == nil && wasUsed && got.Refresh != tokens[i+1]:
					r.Fatal("not the same successor")
				case err == nil && !wasUsed:
					used[i], tokens = b.now(), append(tokens, got.Refresh)
				}
			}
		}
	})
}
