package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/commercestack/commercestack/ent/auth/migrations"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/jwtverify"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/auth"
	"github.com/commercestack/commercestack/services/auth/password"
	"github.com/commercestack/commercestack/services/auth/store"
	"github.com/commercestack/commercestack/services/auth/throttle"
	"github.com/commercestack/commercestack/services/auth/token"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	goodPassword = "correct horse battery"
	address      = "192.0.2.7"
)

// bench is a Service on a real database. Jobs are collected instead of run.
type bench struct {
	*auth.Service

	db     *postgres.DB
	redis  *miniredis.Miniredis
	hasher *countingHasher
	issuer *token.Issuer
	mailer *collectingMailer
	sealer *crypto.Keyring

	nanos atomic.Int64
	mu    sync.Mutex
	queue []auth.MailRequest
}

func newBench(t *testing.T, change ...func(*auth.Config)) *bench {
	t.Helper()
	b := &bench{db: pgtest.New(t, "auth", migrations.FS), redis: miniredis.RunT(t), mailer: &collectingMailer{}}
	b.nanos.Store(time.Now().Truncate(time.Second).UnixNano())
	key, err := crypto.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	if b.sealer, err = crypto.NewKeyring(key); err != nil {
		t.Fatal(err)
	}
	b.hasher = &countingHasher{Hasher: newHasher(t, 64)}
	b.Service = b.open(t, change...)
	if err := b.RotateKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// open makes another process's Service on the same database.
func (b *bench) open(t *testing.T, change ...func(*auth.Config)) *auth.Service {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: b.redis.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	config := auth.Config{PublicURL: "https://shop.test"}
	for _, f := range change {
		f(&config)
	}
	logger := slog.New(slog.DiscardHandler)
	var service *auth.Service
	issuer := token.New(func(ctx context.Context) ([]auth.SigningKey, error) { return service.VerificationKeys(ctx) }, b.now)
	service, err := auth.New(config, auth.Deps{
		Store: store.New(b.db, b.enqueue), Hasher: b.hasher, Throttle: throttle.New(client, b.now, logger), Tokens: issuer,
		Sealer: b.sealer, Revocations: jwtverify.NewRevocations(client, b.now, logger), Mailer: b.mailer, Now: b.now, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.issuer == nil {
		b.issuer = issuer
	}
	return service
}

func newHasher(t *testing.T, memory uint32) auth.Hasher {
	t.Helper()
	return password.New(password.Config{MemoryKiB: memory, Concurrent: 4, Queue: 1000})
}

func (b *bench) now() time.Time { return time.Unix(0, b.nanos.Load()).UTC() }

func (b *bench) advance(d time.Duration) {
	b.nanos.Add(int64(d))
	b.redis.FastForward(d)
}

func (b *bench) enqueue(_ context.Context, _ *postgres.Tx, request auth.MailRequest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, request)
	return nil
}

func (b *bench) requests() []auth.MailRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.queue
	b.queue = nil
	return taken
}

// deliver runs the queued jobs and returns the mails they sent.
func (b *bench) deliver(t *testing.T) []auth.Mail {
	t.Helper()
	for _, request := range b.requests() {
		if err := b.DeliverMail(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	return b.mailer.take()
}

// deliverOne is deliver where exactly one mail must come out.
func (b *bench) deliverOne(t *testing.T, template string) auth.Mail {
	t.Helper()
	mails := b.deliver(t)
	if len(mails) != 1 || mails[0].Template != template {
		t.Fatalf("mails = %+v, want one %s", mails, template)
	}
	return mails[0]
}

func (b *bench) register(t *testing.T, email string) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	if err := b.Register(t.Context(), auth.RegisterInput{ID: id, Email: email, Password: goodPassword, DisplayName: "Ada"}); err != nil {
		t.Fatal(err)
	}
	return id
}

// member registers and verifies an account.
func (b *bench) member(t *testing.T, email string) uuid.UUID {
	t.Helper()
	id := b.register(t, email)
	if err := b.VerifyEmail(t.Context(), b.deliverOne(t, "email_verification").Params["token"]); err != nil {
		t.Fatal(err)
	}
	return id
}

func (b *bench) login(t *testing.T, email, password string) auth.Tokens {
	t.Helper()
	tokens, err := b.tryLogin(t, email, password)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func (b *bench) tryLogin(t *testing.T, email, password string) (auth.Tokens, error) {
	t.Helper()
	return b.Login(t.Context(), auth.LoginInput{
		Email: email, Password: password, Client: auth.Client{IPAddress: address, UserAgent: "test/1"},
	})
}

func (b *bench) valid(t *testing.T, access string) bool {
	t.Helper()
	result, err := b.ValidateToken(t.Context(), access)
	if err != nil {
		t.Fatal(err)
	}
	if result.Valid == (result.Problem != "") {
		t.Errorf("valid = %v and problem = %q", result.Valid, result.Problem)
	}
	return result.Valid
}

// claims reads a token without asking whether its session lives.
func (b *bench) claims(t *testing.T, access string) auth.Claims {
	t.Helper()
	claims, err := b.issuer.Verify(t.Context(), access)
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// count answers a query for one number.
func (b *bench) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	if err := b.db.Pool().QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func wantFault(t *testing.T, err error, want *fault.Error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error = %v, want %v", err, want)
	}
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	if f := fault.From(err); f == nil || f.Kind != fault.KindInvalidInput || f.Field != field {
		t.Fatalf("error = %v, want invalid input on %s", err, field)
	}
}

// countingHasher counts the costly operations.
type countingHasher struct {
	auth.Hasher

	calls atomic.Int64
}

func (h *countingHasher) Hash(ctx context.Context, password string) (string, error) {
	h.calls.Add(1)
	return h.Hasher.Hash(ctx, password)
}

func (h *countingHasher) Verify(ctx context.Context, password, hash string) (match, outdated bool, err error) {
	h.calls.Add(1)
	return h.Hasher.Verify(ctx, password, hash)
}

// collectingMailer stands for the notification component: it takes each key once and can be down.
type collectingMailer struct {
	mu    sync.Mutex
	keys  map[string]bool
	mails []auth.Mail
	down  error
}

func (m *collectingMailer) Send(_ context.Context, mail auth.Mail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return m.down
	}
	if m.keys == nil {
		m.keys = map[string]bool{}
	}
	if !m.keys[mail.Key] {
		m.keys[mail.Key] = true
		m.mails = append(m.mails, mail)
	}
	return nil
}

func (m *collectingMailer) take() []auth.Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.mails
	m.mails = nil
	return taken
}
