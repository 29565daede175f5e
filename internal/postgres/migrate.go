package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/*.sql
var platformFiles embed.FS

// MigrationSet is a series of versioned migrations with a version table of its own in the component's schema.
type MigrationSet struct {
	// Name makes the version table goose_<name>.
	Name string
	// Files are goose SQL migrations at the root of the file system. A nil one has nothing to migrate.
	Files fs.FS

	river bool
}

// Platform is the set of the tables every component has: outbox, inbox, idempotency_key and audit_log.
func Platform() MigrationSet {
	files, err := fs.Sub(platformFiles, "migrations")
	if err != nil {
		panic(err) // the path is a constant
	}
	return MigrationSet{Name: "platform", Files: files}
}

// River is the set of River's tables. River finds them by the search path; its Schema option stays empty because it
// does not quote names, and "order" and "user" need quotes.
func River() MigrationSet { return MigrationSet{Name: "river", river: true} }

// Migrate brings the component's schema to the newest version of every set, in the order given, as the schema's owner.
// Processes that migrate the same schema at once wait for each other. adminURL is that of the role that ran Bootstrap.
func Migrate(ctx context.Context, adminURL, component string, sets ...MigrationSet) error {
	if err := checkName(component); err != nil {
		return err
	}
	db, err := OpenOwner(adminURL, component)
	if err != nil {
		return fmt.Errorf("postgres: migrate %s: %w", component, err)
	}
	defer db.Close()
	unlock, err := lockSchema(ctx, db, component)
	if err != nil {
		return fmt.Errorf("postgres: migrate %s: lock: %w", component, err)
	}
	defer unlock()
	for _, set := range sets {
		if err := set.apply(ctx, db, component); err != nil {
			return fmt.Errorf("postgres: migrate %s: set %s: %w", component, set.Name, err)
		}
	}
	return nil
}

// OpenOwner answers a handle whose sessions act as the owner of the component's schema, as migrations do. Nothing else
// at run time should. It does not connect yet.
func OpenOwner(adminURL, component string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(adminURL)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["role"] = OwnerRole(component)
	config.RuntimeParams["search_path"] = searchPath(component)
	config.RuntimeParams["application_name"] = "commerce-migrate-" + component
	// A migration waiting for a table lock makes every later query on the table wait behind it.
	config.RuntimeParams["lock_timeout"] = milliseconds(30 * time.Second)
	return stdlib.OpenDB(*config), nil
}

// lockSchema holds a session lock, which a dying process frees, on a connection of its own.
func lockSchema(ctx context.Context, db *sql.DB, component string) (unlock func(), err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	for {
		var locked bool
		row := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1, hashtext($2))", lockSpace, "migrate "+component)
		if err := row.Scan(&locked); err != nil {
			_ = conn.Close()
			return nil, err
		}
		if locked {
			// db is closed right after, and with it the session that holds the lock.
			return func() { _ = conn.Close() }, nil
		}
		select {
		case <-ctx.Done():
			_ = conn.Close()
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

func (s MigrationSet) apply(ctx context.Context, db *sql.DB, component string) error {
	if s.river {
		return migrateRiver(ctx, db, component)
	}
	if s.Files == nil {
		return nil
	}
	if err := checkName(s.Name); err != nil {
		return err
	}
	table := "goose_" + s.Name
	provider, err := goose.NewProvider(goose.DialectPostgres, db, s.Files,
		goose.WithTableName(table), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		if partial, ok := errors.AsType[*goose.PartialError](err); ok && partial.Failed != nil && partial.Failed.Source != nil {
			return fmt.Errorf("%s: %w", partial.Failed.Source.Path, partial.Err)
		}
		return err
	}
	return protect(ctx, db, component, table)
}

func migrateRiver(ctx context.Context, db *sql.DB, component string) error {
	migrator, err := rivermigrate.New(riverdatabasesql.New(db), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	return protect(ctx, db, component, "river_migration")
}

// protect keeps a component from rewriting the record of what was migrated.
func protect(ctx context.Context, db *sql.DB, component, table string) error {
	_, err := db.ExecContext(ctx, fmt.Sprintf("REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %s FROM %s",
		quote(table), quote(LoginRole(component))))
	return err
}
