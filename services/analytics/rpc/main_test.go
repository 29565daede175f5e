package rpc_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	analyticsv1 "github.com/commercestack/commercestack/api/gen/commerce/analytics/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/analytics/v1/analyticsv1connect"
	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/services/analytics/module"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	admin = identity.Identity{UserID: uuid.NewString(), Roles: []string{"admin"}, Permissions: []string{"*"}}
	today = time.Date(2026, 3, 31, 23, 30, 0, 0, time.UTC)
)

// bench is the running component behind all interceptors, on a real bus.
type bench struct {
	bus     *postgresbus.Bus
	built   *component.Component
	rest    http.Handler
	metrics analyticsv1connect.AnalyticsServiceClient
}

func newBench(t *testing.T) *bench {
	t.Helper()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "analytics", Migrations: module.Migrations},
		pgtest.Schema{Component: postgresbus.Schema, Migrations: postgresbus.Migrations(), Plain: true})
	db := database.DB(t, "analytics")
	logger := slog.New(slog.DiscardHandler)
	events, err := postgresbus.New(t.Context(), postgresbus.Config{DB: db, Logger: logger, Poll: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(rpc.ServerOptions{Logger: logger})
	built, err := module.New(t.Context(), module.Config{}, component.Env{
		Name: "analytics", Logger: logger, DB: db, Bus: events, Now: func() time.Time { return today },
	})
	if err != nil {
		t.Fatal(err)
	}
	built.Register(server)
	b := &bench{bus: events, built: built, rest: rest.New(server), metrics: analyticsv1connect.NewAnalyticsServiceClient(
		rpc.NewClient(connectinprocess.New(server), rpc.ClientOptions{Caller: "admin", Target: "analytics"}))}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := events.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		events.Close()
	})
	return b
}

func (b *bench) publish(t *testing.T, at time.Time, payloads ...proto.Message) []event.Event {
	t.Helper()
	var events []event.Event
	for _, payload := range payloads {
		events = append(events, event.NewAt(at, "subject", payload))
	}
	if err := b.bus.Publish(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	return events
}

func (b *bench) days(t *testing.T, request *analyticsv1.ListDailyMetricsRequest) []*analyticsv1.DailyMetrics {
	t.Helper()
	answer, err := b.metrics.ListDailyMetrics(identity.With(t.Context(), admin), request)
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetDays()
}

func order(currency string, minor int64) *eventv1.OrderSnapshot {
	return &eventv1.OrderSnapshot{OrderId: uuid.NewString(), Total: &typev1.Money{CurrencyCode: currency, AmountMinor: minor}}
}

func TestEventsBecomeCounters(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.built.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := b.publish(t, today,
		&eventv1.UserRegistered{UserId: uuid.NewString(), Email: "a@example.com"},
		&eventv1.OrderPlaced{Order: order("EUR", 100)}, &eventv1.OrderPlaced{Order: order("EUR", 250)}, &eventv1.OrderPlaced{Order: order("JPY", 900)},
		&eventv1.OrderConfirmed{Order: order("EUR", 250)}, &eventv1.OrderCancelled{Order: order("EUR", 100)},
		&eventv1.PaymentRefunded{Amount: &typev1.Money{CurrencyCode: "EUR", AmountMinor: 50}},
		&eventv1.OrderFulfilled{Order: order("EUR", 250)})
	if err := b.bus.Publish(t.Context(), events[:5]); err != nil { // delivered again
		t.Fatal(err)
	}
	b.publish(t, today.AddDate(0, 0, -1), &eventv1.OrderConfirmed{Order: order("EUR", 7)})
	want := map[string]string{
		"2026-03-30 EUR": "0 0 1 0 7 0 0.00", "2026-03-31 ": "1 0 0 0 0 0 0.00",
		"2026-03-31 EUR": "0 2 1 1 250 50 0.50", "2026-03-31 JPY": "0 1 0 0 0 0 0.00",
	}
	var got map[string]string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		got = make(map[string]string)
		for _, day := range b.days(t, &analyticsv1.ListDailyMetricsRequest{}) {
			got[day.GetDate()+" "+day.GetCurrencyCode()] = text(day)
		}
		if maps.Equal(got, want) {
			break
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	if days := b.days(t, &analyticsv1.ListDailyMetricsRequest{StartDate: "2026-03-30", EndDate: "2026-03-30"}); len(days) != 1 {
		t.Errorf("%d rows of one day", len(days))
	}
}

func TestWhoMayAskForWhat(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, test := range map[string]struct {
		who    identity.Identity
		query  string
		status int
	}{
		"a guest":          {identity.Identity{}, "", 401},
		"a user":           {identity.Identity{UserID: uuid.NewString(), Permissions: []string{"read:own"}}, "", 403},
		"an administrator": {admin, "?startDate=2026-01-01&endDate=2026-12-31", 200},
		"too long":         {admin, "?startDate=2024-01-01&endDate=2025-01-01", 400},
	} {
		recorder := httptest.NewRecorder()
		b.rest.ServeHTTP(recorder, httptest.NewRequestWithContext(identity.With(t.Context(), test.who), http.MethodGet, "/api/v1/analytics/daily"+test.query, http.NoBody))
		if recorder.Code != test.status {
			t.Errorf("%s: %d %s", name, recorder.Code, recorder.Body)
		}
	}
	_, err := b.metrics.ListDailyMetrics(identity.With(t.Context(), admin), &analyticsv1.ListDailyMetricsRequest{StartDate: "2026-02-30"})
	if failure := fault.From(err); failure == nil || failure.Field != "startDate" {
		t.Errorf("a day that is not: %v", err)
	}
}

func text(day *analyticsv1.DailyMetrics) string {
	return fmt.Sprintf("%d %d %d %d %d %d %.2f", day.GetRegistrations(), day.GetOrdersPlaced(), day.GetOrdersConfirmed(), day.GetOrdersCancelled(),
		day.GetRevenueMinor(), day.GetRefundedMinor(), day.GetConversion())
}
