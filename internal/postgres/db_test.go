package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
)

func open(t *testing.T, config postgres.Config) *postgres.DB {
	t.Helper()
	config.Logger = slog.New(slog.DiscardHandler)
	db, err := postgres.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func TestSessionsHaveTheirSettings(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"})
	db := open(t, postgres.Config{
		URL: database.URL("order"), Schema: "order", ApplicationName: "test", LockTimeout: 2 * time.Second, MaxConns: 3,
	})
	for setting, want := range map[string]string{
		"search_path": `"order", "extensions"`, "statement_timeout": "15s", "lock_timeout": "2s", "timezone": "UTC",
		"idle_in_transaction_session_timeout": "10s", "application_name": "test",
		"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3", "tcp_user_timeout": "25000",
	} {
		var got string
		if err := db.SQL().QueryRowContext(t.Context(), "SELECT current_setting($1)", setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %s (%v), want %s", setting, got, err, want)
		}
	}
	if db.Schema() != "order" || db.Pool().Config().MaxConns != 3 || db.Replica() != db.Pool() {
		t.Errorf("schema %s, %d connections, own replica %t", db.Schema(), db.Pool().Config().MaxConns, db.Replica() != db.Pool())
	}
	var rows entsql.Rows
	if err := db.Driver().Query(t.Context(), "SELECT 7", []any{}, &rows); err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if got, err := entsql.ScanInt(rows); err != nil || got != 7 {
		t.Errorf("Ent's driver answers %d (%v)", got, err)
	}
	if err := errors.Join(db.Driver().Close(), db.SQL().PingContext(t.Context())); err != nil {
		t.Errorf("closing Ent's client closed the DB: %v", err)
	}
}

func TestReplica(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"})
	db := open(t, postgres.Config{URL: database.URL("order"), Schema: "order", ReplicaURL: database.URL("order")})
	if db.Replica() == db.Pool() {
		t.Fatal("the replica's pool is the primary's")
	}
	if err := db.Replica().Ping(t.Context()); err != nil {
		t.Error(err)
	}
	metrics := gather(t, db)
	for _, server := range []string{"primary", "replica"} {
		if got := metrics["commerce_postgres_connections_max "+server]; got != 10 {
			t.Errorf("the %s's pool may open %v connections, want 10", server, got)
		}
	}
	// A replica that is down does not keep the component from starting.
	down := open(t, postgres.Config{URL: database.URL("order"), Schema: "order", ReplicaURL: "postgres://127.0.0.1:1/x"})
	if err := postgres.Fault(down.Replica().Ping(t.Context())); fault.From(err) == nil {
		t.Errorf("a replica that is down says %v", err)
	}
}

// gather answers the metrics of db by name and server.
func gather(t *testing.T, db *postgres.DB) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(db.Collector()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "server" {
					values[family.GetName()+" "+label.GetValue()] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
				}
			}
		}
	}
	return values
}

func TestCollector(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	conn, err := db.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	runs := 0
	err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if runs++; runs > 1 {
			return nil
		}
		_, err := tx.ExecContext(ctx, "DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = 'deadlock_detected'; END $$")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	metrics := gather(t, db)
	for name, want := range map[string]float64{
		"connections_acquired": 1, "connections_max": 10, "transaction_retries_total": 1, "acquires_canceled_total": 0,
	} {
		if got, found := metrics["commerce_postgres_"+name+" primary"]; !found || got != want {
			t.Errorf("%s = %v (%t), want %v", name, got, found, want)
		}
	}
	if metrics["commerce_postgres_acquires_total primary"] < 3 {
		t.Errorf("metrics %v, want at least 3 acquires", metrics)
	}
}

func TestBatchIsOneTransaction(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	batch := &pgx.Batch{}
	batch.Queue(insertEvent, "a")
	batch.Queue(insertEvent, "b")
	if err := db.Batch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	failing := &pgx.Batch{}
	failing.Queue(insertEvent, "c")
	failing.Queue("INSERT INTO inbox (subscriber, event_id) SELECT subscriber, event_id FROM inbox")
	if err := db.Batch(t.Context(), failing); !postgres.IsUnique(err, "inbox_pkey") {
		t.Errorf("error %v, want the violated key", err)
	}
	if got := subscribers(t, db); len(got) != 2 {
		t.Errorf("rows %v, want those of the first batch", got)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"})
	const secret = "s3cret-word"
	wrong := strings.Replace(database.URL("order"), ":component@", ":"+secret+"@", 1)
	for name, test := range map[string]struct {
		config      postgres.Config
		unavailable bool
	}{
		"no URL":            {postgres.Config{Schema: "order"}, false},
		"no schema":         {postgres.Config{URL: wrong}, false},
		"malformed URL":     {postgres.Config{URL: "postgres://u:" + secret + "@host:port/", Schema: "order"}, false},
		"malformed replica": {postgres.Config{URL: database.URL("order"), ReplicaURL: "postgres://u:" + secret + "@host:port/", Schema: "order"}, false},
		// Waiting does not mend a wrong password.
		"wrong password": {postgres.Config{URL: wrong, Schema: "order"}, false},
		"no server":      {postgres.Config{URL: "postgres://u:" + secret + "@127.0.0.1:1/x", Schema: "order"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := postgres.Open(t.Context(), test.config)
			if err == nil {
				db.Close()
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds the password: %v", err)
			}
			if got := fault.From(err); (got != nil) != test.unavailable {
				t.Errorf("fault %v, want one: %t", got, test.unavailable)
			}
		})
	}
}

func TestCountQueriesSeesTransactions(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	got := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
		if err := db.InTx(ctx, insert("a")); err != nil {
			t.Error(err)
		}
	})
	if got != 3 {
		t.Errorf("%d statements, want begin, insert, commit", got)
	}
}

// What the server tells of its volume is a metric, and so is that it takes no writes; a server that tells nothing has no such metric.
func TestCollectorTellsOfTheVolume(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"})
	for name, test := range map[string]struct {
		options  string
		free     float64
		known    bool
		readOnly float64
	}{
		"a server of the operator": {options: "-c commerce.volume_free=47", free: 0.47, known: true},
		"its volume is full":       {options: "-c commerce.volume_free=3 -c default_transaction_read_only=on", free: 0.03, known: true, readOnly: 1},
		"another server":           {},
	} {
		address, err := url.Parse(database.URL("order"))
		if err != nil {
			t.Fatal(err)
		}
		query := address.Query()
		query.Set("options", test.options)
		address.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
		metrics := gather(t, open(t, postgres.Config{URL: address.String(), Schema: "order"}))
		if got, known := metrics["commerce_postgres_volume_free_ratio primary"]; known != test.known || got != test.free {
			t.Errorf("%s: %v of the volume is free (%t), want %v", name, got, known, test.free)
		}
		if got, known := metrics["commerce_postgres_read_only primary"]; !known || got != test.readOnly {
			t.Errorf("%s: read only %v (%t), want %v", name, got, known, test.readOnly)
		}
	}
}

// A database that takes no writes says so, and reading goes on.
func TestWritesToAFullDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	for name, statements := range map[string][]string{
		"read-only": {"SET LOCAL transaction_read_only = on", "INSERT INTO inbox (subscriber, event_id) VALUES ('a', gen_random_uuid())"},
		"no room":   {"DO $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$"},
	} {
		err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			for _, statement := range statements {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return err
				}
			}
			return nil
		})
		failure := fault.From(err)
		if failure == nil || failure.Kind != fault.KindUnavailable || !strings.Contains(failure.Message, "nothing can be changed") || failure.RetryAfter < 10*time.Second {
			t.Errorf("%s: %v", name, err)
		}
	}
}
