package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commercestack/commercestack/internal/cachelogin"
)

// cacheCommand groups the steps by which the platform's Redis password is
// changed without a stop, as databaseCommand does for PostgreSQL.
type cacheCommand struct {
	SetLogin    setCacheLoginCommand    `cmd:"" name:"set-login" help:"Set the password of the platform's Redis login and log in with it."`
	RetireLogin retireCacheLoginCommand `cmd:"" name:"retire-login" help:"Wait until nobody uses a Redis login, then close it."`
}

// cacheAdmin is how these commands reach Redis.
type cacheAdmin struct {
	AdminURL string        `required:"" env:"COMMERCE_REDIS_ADMIN_URL" help:"Redis with a user that may change users."`
	RedisURL string        `env:"COMMERCE_REDIS_URL,REDIS_URL" help:"The platform's login."`
	Timeout  time.Duration `default:"2m" env:"COMMERCE_TIMEOUT" help:"How long to try."`
	TLS      peerFiles     `embed:"" prefix:"tls-"`
}

// open returns a client of the administrator, and one of the platform's login when there is one.
func (c cacheAdmin) open() (admin, login *redis.Client, err error) {
	var r resources
	if err := c.TLS.open(&r); err != nil {
		return nil, nil, err
	}
	if admin, err = newRedis(c.AdminURL, r.peers); err != nil {
		return nil, nil, errors.New("COMMERCE_REDIS_ADMIN_URL is not a redis:// address")
	}
	if c.RedisURL == "" {
		return admin, nil, nil
	}
	if login, err = newRedis(c.RedisURL, r.peers); err != nil {
		return nil, nil, errors.Join(err, admin.Close())
	}
	return admin, login, nil
}

// setCacheLoginCommand is the first step of a rotation.
type setCacheLoginCommand struct {
	cacheAdmin `embed:""`
}

// Run implements the command.
func (c *setCacheLoginCommand) Run(ctx context.Context, s streams) error {
	admin, login, err := c.open()
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close() }()
	if login == nil {
		return errors.New("COMMERCE_REDIS_URL is not set")
	}
	defer func() { _ = login.Close() }()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if err := cachelogin.Set(ctx, admin, login); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s logs in\n", login.Options().Username)
	return err
}

// retireCacheLoginCommand is the last step of a rotation.
type retireCacheLoginCommand struct {
	cacheAdmin `embed:""`

	User string `required:"" env:"COMMERCE_REDIS_USER" help:"The login that nobody needs any more, such as commerce_a."`
}

// Run implements the command.
func (c *retireCacheLoginCommand) Run(ctx context.Context, s streams) error {
	admin, login, err := c.open()
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close() }()
	if login != nil {
		defer func() { _ = login.Close() }()
		// The login in use need not be known here, but when it is, it must not be closed.
		if login.Options().Username == c.User {
			return fmt.Errorf("%s is the login that the platform is configured to use", c.User)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	err = cachelogin.Retire(ctx, admin, c.User)
	if errors.Is(err, cachelogin.ErrInUse) {
		return fmt.Errorf("after %s: %w", c.Timeout, err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s is closed\n", c.User)
	return err
}
