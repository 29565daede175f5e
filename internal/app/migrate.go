package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/postgres"
)

// migrateCommand prepares the database for a version of the program. It is safe
// to run twice and at the same time as another: schemas are locked.
type migrateCommand struct {
	AdminURL    string        `env:"COMMERCE_DATABASE_ADMIN_URL" help:"PostgreSQL with a role that may create roles and schemas."`
	DatabaseURL string        `env:"COMMERCE_DATABASE_URL" help:"The components' login with {component} in it; COMMERCE_<COMPONENT>_DATABASE_URL works too. The roles in it (commerce_<component>, or one of the pair commerce_<component>_a and _b) are prepared and their passwords set."`
	Timeout     time.Duration `default:"15m" env:"COMMERCE_MIGRATE_TIMEOUT" help:"How long to try, waiting for another migration included."`
	List        bool          `help:"Print the migrations of this program by schema as JSON, and change nothing."`
}

// Run implements the command.
func (c *migrateCommand) Run(ctx context.Context, s streams) error {
	if c.List {
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(migrationVersions())
	}
	if c.AdminURL == "" {
		return errors.New("missing flags: --admin-url=STRING (or COMMERCE_DATABASE_ADMIN_URL)")
	}
	config := &Config{DatabaseURL: c.DatabaseURL}
	var components []postgres.Component
	for _, entry := range registry {
		if entry.migrations == nil {
			continue
		}
		login, err := config.databaseURL(entry.name)
		if err != nil {
			return err
		}
		prepared, err := preparedFor(entry.name, login)
		if err != nil {
			return fmt.Errorf("component %s: %w", entry.name, err)
		}
		components = append(components, prepared)
	}
	limited, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	err := prepareDatabase(limited, c.AdminURL, components)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("the database was not ready within %s: %w", c.Timeout, err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, "the database is up to date")
	return err
}

// preparedFor says how the role of a login is prepared.
func preparedFor(component, login string) (postgres.Component, error) {
	password, err := passwordOf(login)
	if err != nil {
		return postgres.Component{}, err
	}
	switch role := userOf(login); {
	case role == postgres.LoginRole(component):
		return postgres.Component{Name: component, Password: password}, nil
	case slices.Contains(postgres.LoginRoles(component), role):
		return postgres.Component{Name: component, Logins: []postgres.Login{{Role: role, Password: password}}}, nil
	default:
		return postgres.Component{}, fmt.Errorf("the database address logs in as %q, not as one of %s", role, strings.Join(postgres.LoginRoles(component), ", "))
	}
}

// passwordOf reads the password of a login URL.
func passwordOf(login string) (string, error) {
	u, err := url.Parse(login)
	if err != nil {
		return "", errors.New("the database address is not a URL")
	}
	password, ok := u.User.Password()
	if !ok || password == "" {
		return "", errors.New("the database address has no password")
	}
	return password, nil
}

// prepareDatabase creates each component's schema and roles and applies every
// migration. Schemas are independent, so they are migrated two at a time.
func prepareDatabase(ctx context.Context, adminURL string, components []postgres.Component) error {
	all := append(slices.Clone(components), postgres.Component{Name: postgresbus.Schema})
	if err := postgres.Bootstrap(ctx, adminURL, all); err != nil {
		return err
	}
	// The bus comes first: components publish from their first transaction on.
	bus := postgres.MigrationSet{Name: postgresbus.Schema, Files: postgresbus.Migrations()}
	if err := postgres.Migrate(ctx, adminURL, postgresbus.Schema, bus); err != nil {
		return fmt.Errorf("migrate the event bus: %w", err)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for _, entry := range registry {
		if entry.migrations == nil {
			continue
		}
		own := postgres.MigrationSet{Name: entry.name, Files: entry.migrations}
		group.Go(func() error {
			if err := postgres.Migrate(groupCtx, adminURL, entry.name, postgres.Platform(), postgres.River(), own); err != nil {
				return fmt.Errorf("migrate %s: %w", entry.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

var migrationFile = regexp.MustCompile(`^[0-9]+_.*\.sql$`)

// migrationVersions lists the migrations by schema, so that two programs can be
// told apart by what they need of the database.
func migrationVersions() map[string][]string {
	versions := map[string][]string{postgresbus.Schema: migrationNames(postgresbus.Migrations())}
	platform := migrationNames(postgres.Platform().Files)
	for _, entry := range registry {
		if entry.migrations != nil {
			versions[entry.name] = append(slices.Clone(platform), migrationNames(entry.migrations)...)
		}
	}
	return versions
}

// migrationSet is one series of migrations of a schema.
type migrationSet struct {
	// name is schema/set, as a database tells it.
	name string
	// newest version; 0 for a series that is not ours to number.
	newest int64
}

// migrationSets are the series of this program.
func migrationSets() []migrationSet {
	platform := newestMigration(postgres.Platform().Files)
	sets := []migrationSet{{postgresbus.Schema + "/" + postgresbus.Schema, newestMigration(postgresbus.Migrations())}}
	for _, entry := range registry {
		if entry.migrations != nil {
			sets = append(sets, migrationSet{entry.name + "/platform", platform}, migrationSet{entry.name + "/" + entry.name, newestMigration(entry.migrations)})
		}
	}
	return sets
}

// newestMigration is the highest number in front of a migration's name.
func newestMigration(files fs.FS) (newest int64) {
	for _, name := range migrationNames(files) {
		digits, _, _ := strings.Cut(name, "_")
		if number, err := strconv.ParseInt(digits, 10, 64); err == nil {
			newest = max(newest, number)
		}
	}
	return newest
}

func migrationNames(files fs.FS) []string {
	var names []string
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil // an embedded folder that cannot be read has no migrations either
	}
	for _, entry := range entries {
		if migrationFile.MatchString(entry.Name()) {
			names = append(names, strings.TrimSuffix(entry.Name(), ".sql"))
		}
	}
	return names
}
