package auth_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/auth"
)

// saboteur lets a number of statements reach the database and fails all that follow.
type saboteur struct{ left atomic.Int64 }

// peace is more statements than any use case has.
const peace = 1 << 40

// TraceQueryStart implements pgx.QueryTracer.
func (s *saboteur) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if s.left.Add(-1) >= 0 {
		return ctx
	}
	dead, cancel := context.WithDeadline(ctx, time.Unix(0, 0))
	cancel()
	return dead
}

// TraceQueryEnd implements pgx.QueryTracer.
func (s *saboteur) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// snapshot is the content of every table that a use case writes.
func (b *bench) snapshot(t *testing.T) (content string) {
	t.Helper()
	for _, table := range []string{"account", "session", "refresh_token", "one_time_token", "revoked_session", "signing_key", "outbox", "audit_log"} {
		var rows string
		query := "SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM " + table + " t"
		if err := b.db.Pool().QueryRow(t.Context(), query).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		content += table + ": " + rows + "\n"
	}
	return content
}

// TestTrap17EveryFailedStatementChangesNothing breaks each use case at each of
// its statements. It must fail, leave no trace, and succeed when it is repeated.
func TestTrap17EveryFailedStatementChangesNothing(t *testing.T) {
	t.Parallel()
	type action func(ctx context.Context, s *auth.Service) error
	tests := []struct {
		name string
		// prepare returns what is broken.
		prepare func(t *testing.T, b *bench) action
		// partial says that the use case ends with a read after its commit.
		partial bool
	}{
		{"register", func(*testing.T, *bench) action {
			id := uuid.Must(uuid.NewV7())
			return func(ctx context.Context, s *auth.Service) error {
				return s.Register(ctx, auth.RegisterInput{ID: id, Email: "new@example.com", Password: goodPassword})
			}
		}, false},
		{"verify", func(t *testing.T, b *bench) action {
			b.register(t, "new@example.com")
			token := b.deliverOne(t, "email_verification").Params["token"]
			return func(ctx context.Context, s *auth.Service) error { return s.VerifyEmail(ctx, token) }
		}, false},
		{"verify another password", func(t *testing.T, b *bench) action {
			b.register(t, "new@example.com")
			b.deliver(t)
			if err := b.Register(t.Context(), auth.RegisterInput{ID: uuid.New(), Email: "new@example.com", Password: newPassword}); err != nil {
				t.Fatal(err)
			}
			token := b.deliverOne(t, "email_verification").Params["token"]
			return func(ctx context.Context, s *auth.Service) error { return s.VerifyEmail(ctx, token) }
		}, false},
		{"deliver a verification", func(t *testing.T, b *bench) action {
			b.register(t, "new@example.com")
			request := b.requests()[0]
			return func(ctx context.Context, s *auth.Service) error { return s.DeliverMail(ctx, request) }
		}, false},
		{"deliver a reset", func(t *testing.T, b *bench) action {
			b.resetToken(t, "a@example.com")
			b.advance(time.Minute)
			if err := b.RequestPasswordReset(t.Context(), "a@example.com"); err != nil {
				t.Fatal(err)
			}
			request := b.requests()[0]
			return func(ctx context.Context, s *auth.Service) error { return s.DeliverMail(ctx, request) }
		}, false},
		{"login", func(*testing.T, *bench) action {
			return func(ctx context.Context, s *auth.Service) error {
				_, err := s.Login(ctx, auth.LoginInput{Email: "a@example.com", Password: goodPassword})
				return err
			}
		}, false},
		{"refresh", func(t *testing.T, b *bench) action {
			token := b.login(t, "a@example.com", goodPassword).Refresh
			return func(ctx context.Context, s *auth.Service) error { _, err := s.Refresh(ctx, token); return err }
		}, true},
		{"request a reset", func(*testing.T, *bench) action {
			return func(ctx context.Context, s *auth.Service) error { return s.RequestPasswordReset(ctx, "a@example.com") }
		}, false},
		{"confirm a reset", func(t *testing.T, b *bench) action {
			b.login(t, "a@example.com", goodPassword)
			token := b.resetToken(t, "a@example.com")
			return func(ctx context.Context, s *auth.Service) error {
				return s.ConfirmPasswordReset(ctx, token, newPassword)
			}
		}, false},
		{"confirm a reset that verifies", func(t *testing.T, b *bench) action {
			b.register(t, "new@example.com")
			b.deliver(t)
			token := b.resetToken(t, "new@example.com")
			return func(ctx context.Context, s *auth.Service) error {
				return s.ConfirmPasswordReset(ctx, token, newPassword)
			}
		}, false},
		{"change the password", func(t *testing.T, b *bench) action {
			claims := b.claims(t, b.login(t, "a@example.com", goodPassword).Access)
			b.login(t, "a@example.com", goodPassword)
			return func(ctx context.Context, s *auth.Service) error {
				return s.ChangePassword(ctx, auth.ChangePasswordInput{
					AccountID: claims.UserID, SessionID: claims.SessionID, Current: goodPassword, New: newPassword,
				})
			}
		}, false},
		{"set roles", func(t *testing.T, b *bench) action {
			id := b.claims(t, b.login(t, "a@example.com", goodPassword).Access).UserID
			return func(ctx context.Context, s *auth.Service) error {
				_, err := s.SetRoles(ctx, id, []string{"admin"})
				return err
			}
		}, false},
		{"delete", func(t *testing.T, b *bench) action {
			id := b.claims(t, b.login(t, "a@example.com", goodPassword).Access).UserID
			return func(ctx context.Context, s *auth.Service) error { return s.DeleteAccount(ctx, id) }
		}, false},
		{"new administrator", func(*testing.T, *bench) action {
			return func(ctx context.Context, s *auth.Service) error {
				_, err := s.EnsureAdmin(ctx, auth.EnsureAdminInput{Email: "admin@example.com", Password: goodPassword})
				return err
			}
		}, false},
		{"user becomes administrator", func(*testing.T, *bench) action {
			return func(ctx context.Context, s *auth.Service) error {
				_, err := s.EnsureAdmin(ctx, auth.EnsureAdminInput{Email: "a@example.com", Password: newPassword})
				return err
			}
		}, false},
		{"rotate", func(_ *testing.T, b *bench) action {
			b.advance(90 * 24 * time.Hour)
			return func(ctx context.Context, s *auth.Service) error { return s.RotateKeys(ctx) }
		}, false},
		{"validate", func(t *testing.T, b *bench) action {
			token := b.login(t, "a@example.com", goodPassword).Access
			return func(ctx context.Context, s *auth.Service) error { _, err := s.ValidateToken(ctx, token); return err }
		}, false},
		{"republish", func(t *testing.T, b *bench) action {
			if err := b.Logout(t.Context(), b.login(t, "a@example.com", goodPassword).Refresh); err != nil {
				t.Fatal(err)
			}
			return func(ctx context.Context, s *auth.Service) error { return s.RepublishRevocations(ctx) }
		}, false},
		{"prune", func(*testing.T, *bench) action {
			return func(ctx context.Context, s *auth.Service) error { return s.Prune(ctx) }
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.member(t, "a@example.com")
			run := test.prepare(t, b)
			service, enemy := b.sabotaged(t)
			failures := 0
			for n := int64(0); ; n++ {
				before := b.snapshot(t)
				enemy.left.Store(n)
				err := run(t.Context(), service)
				enemy.left.Store(peace)
				if err == nil {
					break
				}
				failures++
				if after := b.snapshot(t); after != before && !test.partial {
					t.Fatalf("failing after %d statements (%v) left\n%s\nof\n%s", n, err, after, before)
				}
			}
			if failures == 0 {
				t.Error("nothing was broken: the test proves nothing")
			}
		})
	}
}

// sabotaged opens a Service whose statements can be made to fail, warm enough to read its keys from memory.
func (b *bench) sabotaged(t *testing.T) (*auth.Service, *saboteur) {
	t.Helper()
	enemy := &saboteur{}
	enemy.left.Store(peace)
	db, err := postgres.Open(t.Context(), postgres.Config{
		URL: pgtest.URLFor(t, b.db, "auth"), Schema: "auth", Tracer: enemy, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	honest := b.db
	b.db = db
	service := b.open(t)
	b.db = honest
	if _, err := service.VerificationKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	return service, enemy
}
