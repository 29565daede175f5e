package stripesim

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Schema is the schema of the simulator.
const Schema = "stripesim"

// migrationLock serialises processes that start at the same moment.
const migrationLock = 0x5712_1e51

// migrate brings the schema up to date. Each file runs once, in the order of
// names; the whole run is one transaction, so a crash leaves the old schema.
func migrate(ctx context.Context, pool *pgxpool.Pool) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("stripesim: list migrations: %w", err)
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
			return err
		}
		if err := ensureSchema(ctx, tx); err != nil {
			return err
		}
		for _, file := range files {
			if err := applyOnce(ctx, tx, file); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("stripesim: migrate: %w", err)
	}
	return nil
}

// ensureSchema asks first: a role that was given a ready schema may not have
// the right to create one, not even IF NOT EXISTS.
func ensureSchema(ctx context.Context, tx pgx.Tx) error {
	var exists bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'stripesim')`).Scan(&exists)
	if err != nil {
		return err
	}
	if !exists {
		if _, err := tx.Exec(ctx, `CREATE SCHEMA stripesim`); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS stripesim.migration (name text PRIMARY KEY)`)
	return err
}

func applyOnce(ctx context.Context, tx pgx.Tx, file string) error {
	tag, err := tx.Exec(ctx, `INSERT INTO stripesim.migration (name) VALUES ($1) ON CONFLICT DO NOTHING`, file)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	statements, err := migrations.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, string(statements))
	return err
}
