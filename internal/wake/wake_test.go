package wake_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/wake"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const patience = 15 * time.Second

func next(t *testing.T, s *wake.Signal) {
	t.Helper()
	select {
	case <-s.C():
	case <-time.After(patience):
		t.Fatal("not woken")
	}
}

func silent(t *testing.T, s *wake.Signal) {
	t.Helper()
	select {
	case <-s.C():
		t.Fatal("woken without a reason")
	case <-time.After(200 * time.Millisecond):
	}
}

func notify(t *testing.T, db *postgres.DB, channel string) {
	t.Helper()
	if _, err := db.Pool().Exec(t.Context(), "SELECT pg_notify($1, '')", channel); err != nil {
		t.Fatal(err)
	}
}

func listeners(t *testing.T, db *postgres.DB) (n int) {
	t.Helper()
	err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'commerce-wake'`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSignalsOfAProcessShareAConnection(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order", Plain: true}, pgtest.Schema{Component: "user", Plain: true})
	order, user := database.DB(t, "order"), database.DB(t, "user")
	log := slog.New(slog.DiscardHandler)
	a := wake.Listen(order, "a", log)
	// A new listener may have missed something, so it wakes once.
	next(t, a)
	b := wake.Listen(user, "b", log)
	next(t, b)
	next(t, a)
	if !a.Live() {
		t.Error("not live")
	}
	if n := listeners(t, order); n != 1 {
		t.Errorf("%d connections", n)
	}
	notify(t, user, "a")
	next(t, a)
	silent(t, b)
	for range 5 {
		notify(t, user, "b")
	}
	next(t, b)
	silent(t, a)
	a.Close()
	a.Close()
	for len(b.C()) > 0 {
		<-b.C()
	}
	notify(t, user, "b")
	next(t, b)
	b.Wake()
	next(t, b)
	b.Close()
	deadline := time.Now().Add(patience)
	for listeners(t, order) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the connection stays")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestLostConnectionComesBackAndWakes(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order", Plain: true})
	db := database.DB(t, "order")
	s := wake.Listen(db, "a", slog.New(slog.DiscardHandler))
	defer s.Close()
	next(t, s)
	if _, err := db.Pool().Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'commerce-wake'`); err != nil {
		t.Fatal(err)
	}
	next(t, s)
	notify(t, db, "a")
	next(t, s)
	if !s.Live() {
		t.Error("not live again")
	}
}
