package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"golang.org/x/sync/errgroup"

	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/postgres"
)

// migrateCommand prepares the database for a version of the program. It is safe
// to run twice and at the same time as another.
type migrateCommand struct {
	AdminURL    string `required:"" env:"COMMERCE_DATABASE_ADMIN_URL" help:"PostgreSQL with a role that may create roles and schemas."`
	DatabaseURL string `env:"COMMERCE_DATABASE_URL" help:"The components' login with {component} in it; COMMERCE_<COMPONENT>_DATABASE_URL works too. The passwords in it are set."`
}

// Run implements the command.
func (c *migrateCommand) Run(ctx context.Context, s streams) error {
	config := &Config{DatabaseURL: c.DatabaseURL}
	passwords := make(map[string]string)
	for _, entry := range registry {
		if entry.migrations == nil {
			continue
		}
		login, err := config.databaseURL(entry.name)
		if err != nil {
			return err
		}
		if passwords[entry.name], err = passwordOf(login); err != nil {
			return fmt.Errorf("component %s: %w", entry.name, err)
		}
	}
	if err := prepareDatabase(ctx, c.AdminURL, passwords); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, "the database is up to date")
	return err
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
func prepareDatabase(ctx context.Context, adminURL string, passwords map[string]string) error {
	var components []postgres.Component
	for _, entry := range registry {
		if entry.migrations != nil {
			components = append(components, postgres.Component{Name: entry.name, Password: passwords[entry.name]})
		}
	}
	components = append(components, postgres.Component{Name: postgresbus.Schema})
	if err := postgres.Bootstrap(ctx, adminURL, components); err != nil {
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
