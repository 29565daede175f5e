package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/postgres"
)

// databaseCommand groups the steps by which a component's database password is
// changed without a stop: the idle one of its two logins gets a new password,
// processes move over, the other one is retired. Each step can be repeated.
type databaseCommand struct {
	SetLogin    setLoginCommand    `cmd:"" name:"set-login" help:"Set the password of a component's login and log in with it."`
	RetireLogin retireLoginCommand `cmd:"" name:"retire-login" help:"Wait until nobody uses a component's login, then close it."`
}

// databaseAdmin is how these commands reach the database.
type databaseAdmin struct {
	AdminURL    string        `required:"" env:"COMMERCE_DATABASE_ADMIN_URL" help:"PostgreSQL with a role that may create roles."`
	Component   string        `required:"" env:"COMMERCE_COMPONENT" help:"The component."`
	DatabaseURL string        `env:"COMMERCE_DATABASE_URL" help:"The component's login with {component} in it; COMMERCE_<COMPONENT>_DATABASE_URL works too."`
	Timeout     time.Duration `default:"2m" env:"COMMERCE_TIMEOUT" help:"How long to try."`
}

// check refuses what has no database.
func (d databaseAdmin) check() error {
	chosen, _, err := choose([]string{d.Component})
	if err != nil {
		return err
	}
	if len(chosen) == 0 || chosen[0].migrations == nil {
		return fmt.Errorf("component %s has no database", d.Component)
	}
	return nil
}

func (d databaseAdmin) login() (string, error) {
	return (&Config{DatabaseURL: d.DatabaseURL}).databaseURL(d.Component)
}

// setLoginCommand is the first step of a rotation.
type setLoginCommand struct {
	databaseAdmin `embed:""`
}

// Run implements the command.
func (c *setLoginCommand) Run(ctx context.Context, s streams) error {
	if err := c.check(); err != nil {
		return err
	}
	login, err := c.login()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if err := postgres.SetLogin(ctx, c.AdminURL, c.Component, login); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s logs in\n", userOf(login))
	return err
}

// retireLoginCommand is the last step of a rotation.
type retireLoginCommand struct {
	databaseAdmin `embed:""`

	Role string `required:"" env:"COMMERCE_DATABASE_ROLE" help:"The login that nobody needs any more, such as commerce_order_a."`
}

// Run implements the command.
func (c *retireLoginCommand) Run(ctx context.Context, s streams) error {
	if err := c.check(); err != nil {
		return err
	}
	// The address in use need not be known here, but when it is, it must not be closed.
	if login, err := c.login(); err == nil && userOf(login) == c.Role {
		return fmt.Errorf("%s is the login that component %s is configured to use", c.Role, c.Component)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	err := postgres.RetireLogin(ctx, c.AdminURL, c.Component, c.Role)
	if errors.Is(err, postgres.ErrInUse) {
		return fmt.Errorf("after %s: %w", c.Timeout, err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s is closed\n", c.Role)
	return err
}

// userOf is the role that an address logs in as, "" when it is none.
func userOf(login string) string {
	config, err := pgx.ParseConfig(login)
	if err != nil {
		return ""
	}
	return config.User
}
