package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
)

func set(name string, files map[string]string) postgres.MigrationSet {
	folder := fstest.MapFS{}
	for file, text := range files {
		folder[file] = &fstest.MapFile{Data: []byte(text)}
	}
	return postgres.MigrationSet{Name: name, Files: folder}
}

func TestMigrateRunsEachMigrationOnceAsTheOwner(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order", Plain: true})
	files := map[string]string{
		"00001_mug.sql": "-- +goose Up\nCREATE TABLE mug (id int);\nINSERT INTO mug VALUES (1);\n",
		"atlas.sum":     "h1:x\n",
	}
	migrate := func() error { return postgres.Migrate(t.Context(), database.AdminURL(), "order", set("order", files)) }
	for range 2 {
		if err := migrate(); err != nil {
			t.Fatal(err)
		}
	}
	files["00002_more.sql"] = "-- +goose Up\nINSERT INTO mug VALUES (2);\n"
	if err := migrate(); err != nil {
		t.Fatal(err)
	}
	var owner string
	var rows int
	err := connect(t, database.AdminURL()).QueryRow(t.Context(),
		`SELECT tableowner, (SELECT count(*) FROM "order".mug) FROM pg_tables WHERE schemaname = 'order' AND tablename = 'mug'`,
	).Scan(&owner, &rows)
	if err != nil || owner != "order_owner" || rows != 2 {
		t.Errorf("owner %s, %d rows (%v); want order_owner and 2", owner, rows, err)
	}
}

func TestMigrateWithNothingToDo(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order", Plain: true})
	sets := []postgres.MigrationSet{{Name: "none"}, set("empty", nil)}
	if err := postgres.Migrate(t.Context(), database.AdminURL(), "order", sets...); err != nil {
		t.Error(err)
	}
}

func TestAFailedMigrationLeavesNothingAndCanBeRepaired(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order", Plain: true})
	files := map[string]string{"00001_mug.sql": "-- +goose Up\nCREATE TABLE mug (id int);\nSELECT 1/0;\n"}
	err := postgres.Migrate(t.Context(), database.AdminURL(), "order", set("order", files))
	if err == nil || !strings.Contains(err.Error(), "set order: 00001_mug.sql") || !strings.Contains(err.Error(), "division by zero") {
		t.Fatalf("error %v", err)
	}
	files["00001_mug.sql"] = "-- +goose Up\nCREATE TABLE mug (id int);\n"
	if err := postgres.Migrate(t.Context(), database.AdminURL(), "order", set("order", files)); err != nil {
		t.Error(err)
	}
}

func TestMigrateRefuses(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order", Plain: true})
	for name, test := range map[string]struct {
		url, component string
		set            postgres.MigrationSet
	}{
		"component name":  {database.AdminURL(), "Order", set("order", nil)},
		"set name":        {database.AdminURL(), "order", set("a b", map[string]string{"00001_a.sql": ""})},
		"broken file":     {database.AdminURL(), "order", set("order", map[string]string{"00001_a.sql": "SELECT 1;"})},
		"unknown schema":  {database.AdminURL(), "nobody", postgres.River()},
		"malformed URL":   {"postgres://host:port/", "order", postgres.River()},
		"login, no admin": {database.URL("order"), "order", postgres.Platform()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := postgres.Migrate(t.Context(), test.url, test.component, test.set); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestMigrateWaitsForAnotherProcess(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order", Plain: true})
	other := connect(t, database.AdminURL())
	if _, err := other.Exec(t.Context(), "SELECT pg_advisory_lock(x'636f6d6d'::int, hashtext('migrate order'))"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := postgres.Migrate(ctx, database.AdminURL(), "order", postgres.Platform())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while the other migrates: %v, want its turn not to come", err)
	}
	if _, err := other.Exec(t.Context(), "SELECT pg_advisory_unlock_all()"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), database.AdminURL(), "order", postgres.Platform()); err != nil {
		t.Error(err)
	}
}

func TestAuditLogIsAppendOnly(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"})
	for name, url := range map[string]string{"component": database.URL("order"), "superuser": database.AdminURL()} {
		conn := connect(t, url)
		_, err := conn.Exec(t.Context(),
			`INSERT INTO "order".audit_log (id, actor, action) VALUES (gen_random_uuid(), 'admin', 'product.update')`)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, statement := range []string{
			`UPDATE "order".audit_log SET actor = 'nobody'`, `DELETE FROM "order".audit_log`, `TRUNCATE "order".audit_log`,
		} {
			if _, err := conn.Exec(t.Context(), statement); state(err) != insufficientPrivilege {
				t.Errorf("%s: %s says %v", name, statement, err)
			}
		}
	}
}

func TestPlatformRollsBack(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"})
	db, err := postgres.OpenOwner(database.AdminURL(), "order")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := rollback(t.Context(), db, postgres.Platform()); err != nil {
		t.Fatal(err)
	}
	var left int
	err = db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_class WHERE relnamespace = '"order"'::regnamespace
		AND relkind = 'r' AND relname NOT LIKE 'river%' AND relname NOT LIKE 'goose%'`).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d tables are left (%v)", left, err)
	}
}
