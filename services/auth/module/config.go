package module

import (
	"errors"
	"time"

	"github.com/commercestack/commercestack/services/auth"
	"github.com/commercestack/commercestack/services/auth/password"
)

// Config of the component.
type Config struct {
	RequireVerifiedEmail bool          `default:"true" negatable:"" env:"COMMERCE_AUTH_REQUIRE_VERIFIED_EMAIL" help:"Refuse logins before the verification mail was answered."`
	AccessTokenLife      time.Duration `default:"1h" env:"COMMERCE_AUTH_ACCESS_TOKEN_LIFE" help:"Life of an access token."`
	RefreshTokenLife     time.Duration `default:"720h" env:"COMMERCE_AUTH_REFRESH_TOKEN_LIFE" help:"Life of an unused refresh token."`
	RefreshGrace         time.Duration `default:"45s" env:"COMMERCE_AUTH_REFRESH_GRACE" help:"How long a used refresh token still returns its successor."`
	KeyRotation          time.Duration `default:"2160h" env:"COMMERCE_AUTH_KEY_ROTATION" help:"How long a key signs access tokens before the next one does."`
	PasswordMemoryKiB    uint32        `default:"65536" env:"COMMERCE_AUTH_PASSWORD_MEMORY_KIB" help:"Memory of one Argon2id hash in KiB."`
	PasswordPasses       uint32        `default:"1" env:"COMMERCE_AUTH_PASSWORD_PASSES" help:"Passes of one Argon2id hash."`
	PasswordConcurrent   int           `env:"COMMERCE_AUTH_PASSWORD_CONCURRENT" help:"Hashes at once in a process; half of the cores when empty."`
	PasswordQueue        int           `default:"32" env:"COMMERCE_AUTH_PASSWORD_QUEUE" help:"Logins that may wait for a hash; more are asked to come back."`
}

// validate refuses what would lock everybody out or make refreshing pointless.
func (c Config) validate() error {
	switch {
	case c.AccessTokenLife < 0 || c.RefreshTokenLife < 0 || c.RefreshGrace < 0 || c.KeyRotation < 0:
		return errors.New("auth: a duration is negative")
	case c.AccessTokenLife > 0 && c.RefreshTokenLife > 0 && c.RefreshTokenLife <= c.AccessTokenLife:
		return errors.New("auth: refresh tokens must live longer than access tokens")
	case c.KeyRotation > 0 && c.KeyRotation < time.Hour:
		return errors.New("auth: signing keys must sign for an hour at least")
	}
	return nil
}

func (c Config) domain(publicURL string) auth.Config {
	return auth.Config{
		AccessLife: c.AccessTokenLife, RefreshLife: c.RefreshTokenLife, RefreshGrace: c.RefreshGrace,
		AllowUnverified: !c.RequireVerifiedEmail, PublicURL: publicURL,
		Keys: auth.KeyPolicy{RotateEvery: c.KeyRotation},
	}
}

func (c Config) password() password.Config {
	return password.Config{
		MemoryKiB: c.PasswordMemoryKiB, Passes: c.PasswordPasses, Concurrent: c.PasswordConcurrent, Queue: c.PasswordQueue,
	}
}
