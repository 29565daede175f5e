package module_test

import (
	"log/slog"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/analytics/module"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestNew(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "analytics", Migrations: module.Migrations},
		pgtest.Schema{Component: postgresbus.Schema, Migrations: postgresbus.Migrations(), Plain: true})
	db := database.DB(t, "analytics")
	events, err := postgresbus.New(t.Context(), postgresbus.Config{DB: db, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	env := component.Env{Name: "analytics", Logger: slog.New(slog.DiscardHandler), DB: db, Bus: events, Now: time.Now}
	built, err := module.New(t.Context(), module.Config{}, env)
	if err != nil {
		t.Fatal(err)
	}
	server := connect.NewServer()
	built.Register(server)
	found := false
	for spec := range server.Specs() {
		found = found || spec.Procedure == "/commerce.analytics.v1.AnalyticsService/ListDailyMetrics"
	}
	if err := built.Ready(t.Context()); err != nil || !found {
		t.Errorf("registered %v, ready %v", found, err)
	}
	if _, err := module.New(t.Context(), module.Config{}, env); err == nil {
		t.Error("two in one process count every event twice")
	}
	db.Close()
	if err := built.Ready(t.Context()); err == nil {
		t.Error("ready without a database")
	}
}
