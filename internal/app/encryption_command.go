package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/reseal"
	auth "github.com/commercestack/commercestack/services/auth/module"
	billing "github.com/commercestack/commercestack/services/billing/module"
	notification "github.com/commercestack/commercestack/services/notification/module"
	user "github.com/commercestack/commercestack/services/user/module"
)

// sealedColumns are the columns with sealed fields of the components that have
// some of their own; those of the platform are in every schema.
var sealedColumns = map[string]func() []reseal.Column{
	"auth": auth.Sealed, "user": user.Sealed, "billing": billing.Sealed, "notification": notification.Sealed,
}

// sealedOf lists a component's columns.
func sealedOf(component string) []reseal.Column {
	columns := idempotency.Sealed()
	if own, ok := sealedColumns[component]; ok {
		columns = append(columns, own()...)
	}
	return columns
}

// encryptionCommand groups what concerns the keys of sealed fields.
type encryptionCommand struct {
	Rewrite rewriteCommand `cmd:"" help:"Seal every field with the first encryption key, so that the others can go."`
}

// rewriteCommand is the step of a rotation between using a new key and dropping the old one.
type rewriteCommand struct {
	DatabaseURL string        `env:"COMMERCE_DATABASE_URL" help:"The components' login with {component} in it; COMMERCE_<COMPONENT>_DATABASE_URL works too."`
	KeysFile    string        `name:"encryption-keys-file" required:"" env:"COMMERCE_ENCRYPTION_KEYS_FILE" help:"Keys that encrypt sensitive fields at rest, the first of which seals."`
	Timeout     time.Duration `default:"1h" env:"COMMERCE_REWRITE_TIMEOUT" help:"How long to try. What was done stays done."`
}

// Run implements the command.
func (c *rewriteCommand) Run(ctx context.Context, s streams) error {
	ring, err := crypto.LoadKeyring(c.KeysFile)
	if err != nil {
		return fmt.Errorf("encryption keys: %w", err)
	}
	config := &Config{DatabaseURL: c.DatabaseURL}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var failures []error
	for _, entry := range registry {
		if entry.migrations == nil {
			continue
		}
		login, err := config.databaseURL(entry.name)
		if err == nil {
			err = rewrite(ctx, entry.name, login, ring)
		}
		failures = append(failures, err)
	}
	if err := errors.Join(failures...); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "every field is sealed with the key %s\n", ring.Primary())
	return err
}

// rewriteConns is enough for one field at a time.
const rewriteConns = 2

// rewrite seals the fields of one component. Errors name tables and never what is in them.
func rewrite(ctx context.Context, component, login string, ring *crypto.Keyring) error {
	db, err := postgres.Open(ctx, postgres.Config{URL: login, Schema: component, MaxConns: rewriteConns, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("component %s: %w", component, err)
	}
	defer db.Close()
	var failures []error
	for _, column := range sealedOf(component) {
		left, err := reseal.Run(ctx, db.Pool(), ring, column)
		if err == nil && left > 0 {
			err = fmt.Errorf("%d fields are still sealed with another key, or do not open", left)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("component %s, table %s, column %s: %w", component, column.Table, column.Name, err))
		}
	}
	return errors.Join(failures...)
}
