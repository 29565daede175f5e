// Plan is the part of migratediff that is built anew for each component, with the component's tables in it.
//
//	plan order add_note  # write the next migration
//	plan order ""        # only say what is missing, and fail when something is
package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/pgserver"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/postgres/drift"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1], os.Args[2])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "migratediff:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, component, name string) error {
	if len(tables) == 0 {
		return errors.New("no tables: run hack/migratediff, which builds this program")
	}
	server, err := pgserver.StartThrowaway(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "migratediff:", err)
		}
	}()
	plan, err := diff(ctx, server, component)
	if err != nil {
		return err
	}
	dir := filepath.Join("ent", component, "migrations")
	switch {
	case len(plan.Changes) == 0:
		fmt.Printf("%s: migrations and schema agree\n", component)
		return nil
	case name == "":
		text, err := render(plan)
		if err != nil {
			return err
		}
		return fmt.Errorf("%s lacks:\n%s", dir, text)
	default:
		return write(plan, dir, name)
	}
}

func diff(ctx context.Context, server *pgserver.Throwaway, component string) (*migrate.Plan, error) {
	migrated, err := database(ctx, server, component, "migrated")
	if err != nil {
		return nil, err
	}
	defer migrated.Close()
	scratch, err := database(ctx, server, component, "scratch")
	if err != nil {
		return nil, err
	}
	defer scratch.Close()
	return drift.Plan(ctx, migrated, scratch, component, tables)
}

func database(ctx context.Context, server *pgserver.Throwaway, component, name string) (*sql.DB, error) {
	conn, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return nil, err
	}
	if err := postgres.Bootstrap(ctx, server.URL(name), []postgres.Component{{Name: component}}); err != nil {
		return nil, err
	}
	files := postgres.MigrationSet{Name: component, Files: os.DirFS(filepath.Join("ent", component, "migrations"))}
	err = postgres.Migrate(ctx, server.URL(name), component, postgres.Platform(), postgres.River(), files)
	if err != nil {
		return nil, err
	}
	return postgres.OpenOwner(server.URL(name), component)
}

func write(plan *migrate.Plan, dir, name string) error {
	number, err := next(dir)
	if err != nil {
		return err
	}
	text, err := render(plan)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, fmt.Sprintf("%05d_%s.sql", number, name))
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return err
	}
	fmt.Println("wrote", path)
	return nil
}

// next is one more than the highest version. Two branches that take the same number conflict in atlas.sum, and goose
// refuses to run both.
func next(dir string) (int, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.sql"))
	if err != nil {
		return 0, err
	}
	highest := 0
	for _, file := range files {
		prefix, _, _ := strings.Cut(filepath.Base(file), "_")
		number, err := strconv.Atoi(prefix)
		if err != nil {
			return 0, fmt.Errorf("%s: a migration's name starts with its number: %w", file, err)
		}
		highest = max(highest, number)
	}
	return highest + 1, nil
}

func render(plan *migrate.Plan) ([]byte, error) {
	var text bytes.Buffer
	text.WriteString("-- +goose Up\n")
	for _, change := range plan.Changes {
		if change.Comment != "" {
			fmt.Fprintf(&text, "-- %s\n", change.Comment)
		}
		fmt.Fprintf(&text, "%s;\n", change.Cmd)
	}
	text.WriteString("\n-- +goose Down\n")
	for _, change := range slices.Backward(plan.Changes) {
		reverse, err := change.ReverseStmts()
		if err != nil {
			return nil, fmt.Errorf("reverse of %q: %w", change.Cmd, err)
		}
		for _, statement := range reverse {
			fmt.Fprintf(&text, "%s;\n", statement)
		}
	}
	return text.Bytes(), nil
}
