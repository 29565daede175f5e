package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
)

// shared is an outbox with a bus in the same database, and a connection that may look into it.
func shared(t *testing.T) (db *postgres.DB, b *postgresbus.Bus, admin *pgx.Conn) {
	t.Helper()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"},
		pgtest.Schema{Component: postgresbus.Schema, Migrations: postgresbus.Migrations(), Plain: true})
	db = database.DB(t, "order")
	b, err := postgresbus.New(t.Context(), postgresbus.Config{DB: db, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if admin, err = pgx.Connect(t.Context(), database.AdminURL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	return db, b, admin
}

func subjects(t *testing.T, admin *pgx.Conn) (all []string) {
	t.Helper()
	rows, err := admin.Query(t.Context(), "SELECT subject FROM bus.event ORDER BY seq")
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestReplicasHandOverToTheSharedDatabaseOnceAndInOrder(t *testing.T) {
	t.Parallel()
	db, b, admin := shared(t)
	for range 3 {
		start(t, &outbox.Relay{DB: db, Bus: b, Batch: 5, Poll: 10 * time.Millisecond})
	}
	const n = 200
	for i := range n {
		write(t, db, nil, deleted(strconv.Itoa(i)))
	}
	eventually(t, "the outbox is empty", func() bool { return depth(t, db) == 0 })
	got := subjects(t, admin)
	if len(got) != n {
		t.Fatalf("%d events, want %d", len(got), n)
	}
	for i, subject := range got {
		if subject != strconv.Itoa(i) {
			t.Fatalf("place %d: %s", i, subject)
		}
	}
}

func TestWhatTheSharedBusRefusesStaysInTheOutbox(t *testing.T) {
	t.Parallel()
	db, b, admin := shared(t)
	exec := func(statement string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("REVOKE EXECUTE ON FUNCTION bus.publish FROM commerce_component")
	write(t, db, nil, deleted("a"), deleted("b"))
	start(t, &outbox.Relay{DB: db, Bus: b, Poll: 10 * time.Millisecond})
	time.Sleep(100 * time.Millisecond)
	if n, got := depth(t, db), subjects(t, admin); n != 2 || len(got) != 0 {
		t.Errorf("%d events in the outbox, published %v", n, got)
	}
	exec("GRANT EXECUTE ON FUNCTION bus.publish TO commerce_component")
	eventually(t, "they leave", func() bool { return depth(t, db) == 0 })
	if got := fmt.Sprint(subjects(t, admin)); got != "[a b]" {
		t.Errorf("published %s", got)
	}
}

func TestRoundOfASharedDatabaseIsOneStatement(t *testing.T) {
	t.Parallel()
	db, b, _ := shared(t)
	write(t, db, nil, deleted("a"), deleted("b"), deleted("c"))
	relay := outbox.Relay{DB: db, Bus: b}
	n := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
		for _, want := range []int{3, 0} {
			if n, err := relay.Round(ctx); n != want || err != nil {
				t.Errorf("a round of %d events, want %d (%v)", n, want, err)
			}
		}
	})
	if n != 2 {
		t.Errorf("%d statements, want one for the batch and one that finds nothing more", n)
	}
}

// A burst leaves a table of many pages of which few have rows: a round may not read them all.
func TestARoundDoesNotReadTheWholeOutbox(t *testing.T) {
	t.Parallel()
	db, b, _ := shared(t)
	for i := range 50 {
		write(t, db, nil, deleted(strconv.Itoa(i)))
	}
	rows, err := db.Pool().Query(t.Context(), "EXPLAIN "+outbox.SharedStatement(b.PublishFunction()), 100)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(plan, "\n")
	if strings.Contains(text, "Seq Scan on outbox") || !strings.Contains(text, "Tid Scan on outbox") {
		t.Errorf("the plan:\n%s", text)
	}
}
