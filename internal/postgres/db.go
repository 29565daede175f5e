package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// Config says how a component reaches its schema. Zero values take the defaults named here.
type Config struct {
	// URL of the primary with the component's login role. Required.
	URL string
	// Schema is the component's schema. Required.
	Schema string
	// ReplicaURL of a read replica; empty makes Replica answer from the primary.
	ReplicaURL string
	// MaxConns of each pool; 10.
	MaxConns int32
	// StatementTimeout ends a single statement on the server; 15 s.
	StatementTimeout time.Duration
	// LockTimeout ends waiting for a row or table lock; 5 s.
	LockTimeout time.Duration
	// IdleInTransactionTimeout ends a transaction nobody works in, so that a hung or vanished process frees its locks; 10 s.
	IdleInTransactionTimeout time.Duration
	// ConnectTimeout bounds one attempt to connect; 5 s.
	ConnectTimeout time.Duration
	// ApplicationName shows in pg_stat_activity; "commerce-" and the schema.
	ApplicationName string
	// Tracer sees every statement of the pools. It may be nil.
	Tracer pgx.QueryTracer
	// Logger takes what happens outside a call, such as transaction retries; slog.Default().
	Logger *slog.Logger
}

func (c *Config) setDefaults() error {
	if c.URL == "" {
		return errors.New("postgres: URL is empty")
	}
	if err := checkName(c.Schema); err != nil {
		return err
	}
	if c.MaxConns == 0 {
		c.MaxConns = 10
	}
	setDefault(&c.StatementTimeout, 15*time.Second)
	setDefault(&c.LockTimeout, 5*time.Second)
	setDefault(&c.IdleInTransactionTimeout, 10*time.Second)
	setDefault(&c.ConnectTimeout, 5*time.Second)
	if c.ApplicationName == "" {
		c.ApplicationName = "commerce-" + c.Schema
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// DB is one component's way to its schema. It is safe for concurrent use.
type DB struct {
	schema  string
	logger  *slog.Logger
	primary *pgxpool.Pool
	replica *pgxpool.Pool // the primary when there is no replica
	sql     *sql.DB
	retries retryCounter
}

// Open connects to the component's schema and fails when the primary does not answer. A replica may be down: its
// pool connects when it is first used.
func Open(ctx context.Context, config Config) (*DB, error) {
	if err := config.setDefaults(); err != nil {
		return nil, err
	}
	primary, err := newPool(ctx, config, config.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres: open primary: %w", err)
	}
	db := &DB{schema: config.Schema, logger: config.Logger, primary: primary, replica: primary}
	if config.ReplicaURL != "" {
		if db.replica, err = newPool(ctx, config, config.ReplicaURL); err != nil {
			primary.Close()
			return nil, fmt.Errorf("postgres: open replica: %w", err)
		}
	}
	db.sql = stdlib.OpenDBFromPool(primary)
	if err := db.Ping(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("postgres: connect to schema %s: %w", config.Schema, err)
	}
	return db, nil
}

func newPool(ctx context.Context, config Config, url string) (*pgxpool.Pool, error) {
	// pgx strips the password from its own parse errors.
	pool, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	pool.MaxConns = config.MaxConns
	pool.MaxConnIdleTime = 5 * time.Minute
	// Connections are renewed so that a failed-over or rebalanced server gets its share; the jitter spreads it.
	pool.MaxConnLifetime = 30 * time.Minute
	pool.MaxConnLifetimeJitter = 5 * time.Minute
	pool.HealthCheckPeriod = 30 * time.Second
	pool.ConnConfig.ConnectTimeout = config.ConnectTimeout
	pool.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	pool.ConnConfig.StatementCacheCapacity = 512
	pool.ConnConfig.Tracer = config.Tracer
	pool.ConnConfig.DialFunc = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: aliveIdle, Interval: aliveEvery, Count: aliveTries}}).DialContext
	pool.BeforeConnect = rereadTLS(url)
	pool.AfterConnect = registerUUID
	params := pool.ConnConfig.RuntimeParams
	params["application_name"] = config.ApplicationName
	params["search_path"] = searchPath(config.Schema)
	params["timezone"] = "UTC"
	params["statement_timeout"] = milliseconds(config.StatementTimeout)
	params["lock_timeout"] = milliseconds(config.LockTimeout)
	params["idle_in_transaction_session_timeout"] = milliseconds(config.IdleInTransactionTimeout)
	// Sessions of a machine that vanished would keep their places among max_connections for two hours.
	params["tcp_keepalives_idle"] = seconds(aliveIdle)
	params["tcp_keepalives_interval"] = seconds(aliveEvery)
	params["tcp_keepalives_count"] = strconv.Itoa(aliveTries)
	params["tcp_user_timeout"] = milliseconds(aliveIdle + aliveTries*aliveEvery)
	return pgxpool.NewWithConfig(ctx, pool)
}

// rereadTLS makes each new connection trust what the files of the URL say then: authorities are replaced while processes
// run. Addresses without files need nothing.
func rereadTLS(url string) func(context.Context, *pgx.ConnConfig) error {
	if !strings.Contains(url, "sslrootcert=") && !strings.Contains(url, "sslcert=") {
		return nil
	}
	return func(_ context.Context, config *pgx.ConnConfig) error {
		fresh, err := pgx.ParseConfig(url)
		if err != nil {
			return err
		}
		config.TLSConfig, config.Fallbacks = fresh.TLSConfig, fresh.Fallbacks
		return nil
	}
}

// Both sides of a connection ask a silent peer whether it lives, and give it up after 25 seconds.
const (
	aliveIdle  = 10 * time.Second
	aliveEvery = 5 * time.Second
	aliveTries = 3
)

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(d.Milliseconds(), 10)
}

// Schema is the component's schema.
func (db *DB) Schema() string { return db.schema }

// Pool is the pgx pool of the primary, for LISTEN, COPY and batches of statements in one round trip.
func (db *DB) Pool() *pgxpool.Pool { return db.primary }

// Replica is the pool of the read replica, or of the primary when there is none. A replica lags: never decide about
// money or stock on what it says.
func (db *DB) Replica() *pgxpool.Pool { return db.replica }

// SQL is the primary's pool as a database/sql handle.
func (db *DB) SQL() *sql.DB { return db.sql }

// Driver is an Ent driver without a transaction, for reads. Closing an Ent client over it leaves the DB open.
func (db *DB) Driver() dialect.Driver { return poolDriver{entsql.OpenDB(dialect.Postgres, db.sql)} }

type poolDriver struct{ *entsql.Driver }

// Close implements dialect.Driver. The pool is the DB's, and others use it.
func (poolDriver) Close() error { return nil }

// Batch sends the queued statements in one round trip and in one implicit transaction: one failing undoes all.
func (db *DB) Batch(ctx context.Context, batch *pgx.Batch) error {
	return Fault(db.primary.SendBatch(ctx, batch).Close())
}

// Ping fails with an Unavailable fault when the primary does not answer.
func (db *DB) Ping(ctx context.Context) error { return Fault(db.primary.Ping(ctx)) }

// Close waits for the connections in use and closes all.
func (db *DB) Close() {
	// The handle over the pool owns no connections of its own, so closing it cannot fail in a way that matters.
	_ = db.sql.Close()
	if db.replica != db.primary {
		db.replica.Close()
	}
	db.primary.Close()
}
