package postgresbus_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/bus/bustest"
	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func newDatabase(t testing.TB) *pgtest.Database {
	t.Helper()
	return pgtest.NewDatabase(t, pgtest.Schema{Component: "order"}, pgtest.Schema{Component: "notification", Plain: true},
		pgtest.Schema{Component: postgresbus.Schema, Migrations: postgresbus.Migrations(), Plain: true})
}

type harness struct {
	database *pgtest.Database
	dbs      map[bus.Bus]*postgres.DB
}

func (h *harness) New(t *testing.T, component string) bus.Bus {
	t.Helper()
	db := h.database.DB(t, component)
	b, err := postgresbus.New(t.Context(), postgresbus.Config{
		DB: db, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
		Lease: 2 * time.Second, Drain: 500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	h.dbs[b] = db
	return b
}

func (h *harness) Kill(_ *testing.T, b bus.Bus) { h.dbs[b].Close() }

func TestConformance(t *testing.T) {
	t.Parallel()
	bustest.Run(t, func(t *testing.T) bustest.Harness {
		t.Helper()
		return &harness{database: newDatabase(t), dbs: map[bus.Bus]*postgres.DB{}}
	})
}
