package notification_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/notification/migrations"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/notification"
	"github.com/commercestack/commercestack/services/notification/store"
	"github.com/commercestack/commercestack/services/notification/template"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// provider records what it is given. fail decides by recipient.
type provider struct {
	mu   sync.Mutex
	sent []notification.Message
	fail func(to string) error
}

func (p *provider) Send(_ context.Context, m notification.Message) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		if err := p.fail(m.To); err != nil {
			return "", err
		}
	}
	p.sent = append(p.sent, m)
	return "ref-" + m.ID.String(), nil
}

func (p *provider) messages() []notification.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]notification.Message(nil), p.sent...)
}

// post is a mail service on a database of its own.
type post struct {
	*notification.Service

	db       *postgres.DB
	store    *store.Store
	provider *provider
	outcomes chan string
}

func newPost(t testing.TB) *post {
	t.Helper()
	p := &post{db: pgtest.New(t, "notification", migrations.FS), provider: &provider{}, outcomes: make(chan string, 1000)}
	p.store = store.New(p.db, newRing(t))
	p.Service = p.worker(t, p.provider)
	return p
}

func newRing(t testing.TB) *crypto.Keyring {
	t.Helper()
	key, err := crypto.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypto.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// worker is another process on the same queue.
func (p *post) worker(t testing.TB, sender notification.Sender) *notification.Service {
	t.Helper()
	templates, err := template.Load()
	if err != nil {
		t.Fatal(err)
	}
	return notification.New(notification.Config{
		Store: p.store, Sender: sender, Renderer: templates, Shop: "Shop", FromName: "Shop", FromAddress: "shop@example.com",
		PublicURL: "https://shop.example", Logger: slog.New(slog.DiscardHandler), Now: time.Now,
		Sent: func(outcome string) { p.outcomes <- outcome },
	})
}

// deliver runs the worker until the test ends; stop ends it before.
func deliver(t testing.TB, s *notification.Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Deliver(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func (p *post) welcome(t testing.TB, to string) uuid.UUID {
	t.Helper()
	id, err := p.Enqueue(t.Context(), notification.SendInput{To: to, Template: "welcome", Params: map[string]string{"name": "Ada"}, IdempotencyKey: uuid.NewString()})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// due makes every queued mail due now, as if its pause were over.
func (p *post) due(t testing.TB) {
	t.Helper()
	if _, err := p.db.Pool().Exec(t.Context(), "UPDATE mail SET next_attempt_time = now() - interval '1 second' WHERE status = 'QUEUED'"); err != nil {
		t.Fatal(err)
	}
	p.Wake()
}

func (p *post) await(t testing.TB, id uuid.UUID, ok func(notification.Mail) bool) notification.Mail {
	t.Helper()
	var m notification.Mail
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var err error
		if m, err = p.store.Get(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if ok(m) {
			return m
		}
	}
	t.Fatalf("the mail stays %s after %d attempts (%s)", m.Status, m.Attempts, m.LastError)
	return m
}

func sent(m notification.Mail) bool { return m.Status == notification.StatusSent }

var errRefused = errors.New("the provider refused")
