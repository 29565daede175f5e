package rpc_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/commercestack/commercestack/api/gen/commerce/notification/v1/notificationv1connect"
	"github.com/commercestack/commercestack/ent/notification/migrations"
	"github.com/commercestack/commercestack/internal/audit"
	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/services/notification/module"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const patience = 20 * time.Second

var admin = identity.Identity{UserID: uuid.NewString(), Roles: []string{"admin"}, Permissions: []string{"*"}}

// bench is the running component behind all interceptors, on a real bus.
type bench struct {
	db     *postgres.DB
	bus    *postgresbus.Bus
	server *connect.Server
	inbox  http.Handler
	rest   http.Handler
	// mails is what other components and the dashboard call.
	mails notificationv1connect.NotificationServiceClient
}

func newBench(t *testing.T) *bench {
	t.Helper()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "notification", Migrations: migrations.FS},
		pgtest.Schema{Component: postgresbus.Schema, Migrations: postgresbus.Migrations(), Plain: true})
	logger := slog.New(slog.DiscardHandler)
	b := &bench{db: database.DB(t, "notification")}
	var err error
	if b.bus, err = postgresbus.New(t.Context(), postgresbus.Config{DB: b.db, Logger: logger, Poll: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	key, err := crypto.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypto.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	keys := idempotency.NewStore(b.db, ring)
	b.server = rpc.NewServer(rpc.ServerOptions{Logger: logger, Interceptors: []connect.ServerInterceptor{
		audit.Interceptor(func(string) *postgres.DB { return b.db }, logger),
		idempotency.Interceptor(func(string) *idempotency.Store { return keys }),
	}})
	built, err := module.New(t.Context(), module.Config{Provider: "auto", FromAddress: "shop@example.com", FromName: "Test Shop"}, component.Env{
		Name: "notification", Logger: logger, DB: b.db, Bus: b.bus, Keyring: ring, Registry: prometheus.NewRegistry(), Now: time.Now,
		PublicURL: "https://shop.example", Development: true, Currency: "EUR",
	})
	if err != nil {
		t.Fatal(err)
	}
	built.Register(b.server)
	b.inbox = built.Routes["GET /dev/mail"]
	b.rest = rest.New(b.server)
	b.mails = notificationv1connect.NewNotificationServiceClient(
		rpc.NewClient(connectinprocess.New(b.server), rpc.ClientOptions{Caller: "auth", Target: "notification"}))
	b.run(t, append(append(built.Run, built.Work...), b.bus.Run))
	if err := built.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) run(t *testing.T, loops []func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, loop := range loops {
		running.Go(func() {
			if err := loop(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
		b.bus.Close()
	})
}

type captured struct {
	To, Subject, Text, HTML, SentTime string
	Links                             []string
}

// to waits until an address has got a number of mails.
func (b *bench) to(t *testing.T, address string, wanted int) []captured {
	t.Helper()
	var body struct{ Messages []captured }
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		recorder := httptest.NewRecorder()
		b.inbox.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/dev/mail?to="+url.QueryEscape(address), http.NoBody))
		if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		if len(body.Messages) >= wanted {
			return body.Messages
		}
	}
	t.Fatalf("%s has %d mails, want %d", address, len(body.Messages), wanted)
	return nil
}

func (b *bench) publish(t *testing.T, payloads ...proto.Message) []event.Event {
	t.Helper()
	var events []event.Event
	for _, payload := range payloads {
		events = append(events, event.New("subject", payload))
	}
	if err := b.bus.Publish(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	return events
}

// handled waits until every delivery is done.
func (b *bench) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	if err := b.db.Pool().QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within %v", what, patience)
}
