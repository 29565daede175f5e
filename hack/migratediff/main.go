// Migratediff writes the next migration of a component from the difference
// between its migrations, replayed on a throw-away PostgreSQL, and its Ent schema.
//
//	go run ./hack/migratediff order add_note  # write ent/order/migrations/0000N_add_note.sql
//	go run ./hack/migratediff --hash order    # accept hand-written migrations: renew atlas.sum
//	go run ./hack/migratediff --check         # fail when a component's migrations lag its schema or atlas.sum is stale
//	go run ./hack/migratediff --check order   # the same for some components
//
// A written migration is a draft to read: add what Ent cannot say, then run --hash.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
)

const (
	module = "github.com/commercestack/commercestack"
	// The file of the inner program that names the component's tables.
	tablesFile = "hack/migratediff/plan/tables.go"
)

var validName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "migratediff:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("migratediff", flag.ContinueOnError)
	check := flags.Bool("check", false, "fail when migrations and schema differ")
	hash := flags.Bool("hash", false, "renew atlas.sum")
	if err := flags.Parse(args); err != nil {
		return err
	}
	components := flags.Args()
	switch {
	case *hash && len(components) > 0:
		for _, component := range components {
			if err := writeSum(migrationFolder(component)); err != nil {
				return fmt.Errorf("%s: %w", component, err)
			}
		}
		return nil
	case *check:
		return checkAll(ctx, components)
	case len(components) == 2 && validName.MatchString(components[1]):
		return write(ctx, components[0], components[1])
	default:
		return errors.New("usage: migratediff <component> <name_in_snake_case> | --check [component…] | --hash component…")
	}
}

func migrationFolder(component string) string { return filepath.Join("ent", component, "migrations") }

func write(ctx context.Context, component, name string) error {
	if err := generated(component); err != nil {
		return err
	}
	dir := migrationFolder(component)
	if err := prepareFolder(dir, component); err != nil {
		return err
	}
	if err := verifySum(dir); err != nil {
		return err
	}
	if err := plan(ctx, component, name); err != nil {
		return err
	}
	return writeSum(dir)
}

func checkAll(ctx context.Context, components []string) error {
	if len(components) == 0 {
		schemas, err := filepath.Glob("ent/*/schema")
		if err != nil {
			return err
		}
		for _, schema := range schemas {
			components = append(components, filepath.Base(filepath.Dir(schema)))
		}
	}
	var failures []error
	for _, component := range components {
		if err := errors.Join(verifySum(migrationFolder(component)), plan(ctx, component, "")); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", component, err))
		}
	}
	return errors.Join(failures...)
}

// plan runs the inner program with the component's tables compiled in. The import lives in an overlay of the build, so
// no registry of components has to be kept and a component works as soon as Ent has generated it.
func plan(ctx context.Context, component, name string) error {
	if err := generated(component); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp("", "migratediff-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	tables := filepath.Join(temporary, "tables.go")
	source := fmt.Sprintf("package main\n\nimport \"%s/ent/%s/migrate\"\n\nvar tables = migrate.Tables\n", module, component)
	overlay := filepath.Join(temporary, "overlay.json")
	target, err := filepath.Abs(tablesFile)
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {target: tables}})
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(tables, []byte(source), 0o600), os.WriteFile(overlay, text, 0o600)); err != nil {
		return err
	}
	// Two steps rather than `go run`, so that an interrupt reaches the program and it stops its server.
	binary := filepath.Join(temporary, "plan")
	if err := command(ctx, "go", "build", "-overlay", overlay, "-o", binary, "./hack/migratediff/plan").Run(); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return command(ctx, binary, component, name).Run()
}

func generated(component string) error {
	if !validName.MatchString(component) {
		return fmt.Errorf("component name %q is not in lower case", component)
	}
	if _, err := os.Stat(filepath.Join("ent", component, "migrate", "schema.go")); err != nil {
		return fmt.Errorf("run `make generate-ent COMPONENT=%s` first: %w", component, err)
	}
	return nil
}

func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}
