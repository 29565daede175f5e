package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/telemetry"
	auth "github.com/commercestack/commercestack/services/auth/module"
)

// createAdminCommand makes an administrator in auth's own database.
type createAdminCommand struct {
	Config `embed:""`

	Email        string `required:"" help:"Address the administrator logs in with."`
	KeepPassword bool   `env:"COMMERCE_ADMIN_KEEP_PASSWORD" help:"Leave the password of an account that exists as it is."`
	PasswordFile string `env:"COMMERCE_ADMIN_PASSWORD_FILE" help:"File with the password; COMMERCE_ADMIN_PASSWORD works too."`
}

// Run implements the command.
func (c *createAdminCommand) Run(ctx context.Context, s streams) error {
	password, err := passwordFrom("COMMERCE_ADMIN_PASSWORD", c.PasswordFile)
	if err != nil {
		return err
	}
	if password == "" {
		return errors.New("set COMMERCE_ADMIN_PASSWORD or --password-file")
	}
	keys, err := loadKeys(c.IdentityKeysFile, c.EncryptionKeysFile)
	if err != nil {
		return err
	}
	login, err := c.databaseURL("auth")
	if err != nil {
		return err
	}
	logger := telemetry.NewLogger(s.err, c.LogLevel)
	db, err := postgres.Open(ctx, postgres.Config{URL: login, Schema: "auth", Logger: logger})
	if err != nil {
		return err
	}
	defer db.Close()
	created, err := auth.EnsureAdmin(ctx, c.Auth, component.Env{
		Name: "auth", Logger: logger, DB: db, Keyring: keys.ring, Now: time.Now,
		Client: func(string) *connect.Client { return nil },
	}, c.Email, password, c.KeepPassword)
	if err != nil {
		return err
	}
	done := "made an administrator, with the password given"
	switch {
	case created:
		done = "created"
	case c.KeepPassword:
		done = "made an administrator, with the password it had"
	}
	_, err = fmt.Fprintf(s.out, "%s: %s\n", c.Email, done)
	return err
}

// ensureAdmin makes the administrator of commerce up, through the running process's own database.
func ensureAdmin(ctx context.Context, p *process, config auth.Config, email, password string, keep bool) error {
	_, err := auth.EnsureAdmin(ctx, config, component.Env{
		Name: "auth", Logger: p.resources.logger, DB: p.databases["auth"], Keyring: p.resources.keys.ring, Now: time.Now,
		Redis: p.resources.redis, Client: p.directory.clientFor("auth"), PublicURL: p.config.PublicURL,
	}, email, password, keep)
	return err
}
