package module

import (
	"errors"
	"fmt"
	"time"

	"github.com/commercestack/commercestack/services/auth"
	"github.com/commercestack/commercestack/services/auth/password"
)

const (
	// leastLead is how long a verifier may keep the set of keys that a process of auth kept for a minute.
	leastLead = 6 * time.Minute
	// maxRequest is the length of an id of a request for a key.
	maxRequest = 128
)

// Config of the component.
type Config struct {
	RequireVerifiedEmail bool          `default:"true" negatable:"" env:"COMMERCE_AUTH_REQUIRE_VERIFIED_EMAIL" help:"Refuse logins before the verification mail was answered."`
	AccessTokenLife      time.Duration `default:"1h" env:"COMMERCE_AUTH_ACCESS_TOKEN_LIFE" help:"Life of an access token."`
	RefreshTokenLife     time.Duration `default:"720h" env:"COMMERCE_AUTH_REFRESH_TOKEN_LIFE" help:"Life of an unused refresh token."`
	RefreshGrace         time.Duration `default:"45s" env:"COMMERCE_AUTH_REFRESH_GRACE" help:"How long a used refresh token still returns its successor."`
	KeyRotation          time.Duration `default:"2160h" env:"COMMERCE_AUTH_KEY_ROTATION" help:"How long a key signs access tokens before the next one does."`
	KeyPublishLead       time.Duration `default:"15m" env:"COMMERCE_AUTH_KEY_PUBLISH_LEAD" help:"How long a key is known to verifiers before it signs; six minutes at least, since they keep their copy that long."`
	SigningKeyRequest    string        `env:"COMMERCE_AUTH_SIGNING_KEY_REQUEST" help:"Any id: each new one publishes a new signing key now, once, whatever the number of processes."`
	PasswordMemoryKiB    uint32        `default:"65536" env:"COMMERCE_AUTH_PASSWORD_MEMORY_KIB" help:"Memory of one Argon2id hash in KiB."`
	PasswordPasses       uint32        `default:"1" env:"COMMERCE_AUTH_PASSWORD_PASSES" help:"Passes of one Argon2id hash."`
	PasswordConcurrent   int           `env:"COMMERCE_AUTH_PASSWORD_CONCURRENT" help:"Hashes at once in a process; half of the cores when empty."`
	PasswordQueue        int           `default:"32" env:"COMMERCE_AUTH_PASSWORD_QUEUE" help:"Logins that may wait for a hash; more are asked to come back."`
}

// validate refuses what would lock everybody out or make refreshing pointless.
func (c Config) validate() error {
	switch {
	case c.AccessTokenLife < 0 || c.RefreshTokenLife < 0 || c.RefreshGrace < 0 || c.KeyRotation < 0 || c.KeyPublishLead < 0:
		return errors.New("auth: a duration is negative")
	case c.AccessTokenLife > 0 && c.RefreshTokenLife > 0 && c.RefreshTokenLife <= c.AccessTokenLife:
		return errors.New("auth: refresh tokens must live longer than access tokens")
	case c.KeyRotation > 0 && c.KeyRotation < time.Hour:
		return errors.New("auth: signing keys must sign for an hour at least")
	case c.KeyPublishLead > 0 && c.KeyRotation > 0 && c.KeyPublishLead >= c.KeyRotation:
		return errors.New("auth: a key must be published later than the one before began to sign")
	case len(c.SigningKeyRequest) > maxRequest:
		return fmt.Errorf("auth: the request for a signing key has more than %d characters", maxRequest)
	}
	return nil
}

func (c Config) domain(publicURL string) auth.Config {
	return auth.Config{
		AccessLife: c.AccessTokenLife, RefreshLife: c.RefreshTokenLife, RefreshGrace: c.RefreshGrace,
		AllowUnverified: !c.RequireVerifiedEmail, PublicURL: publicURL,
		Keys: auth.KeyPolicy{RotateEvery: c.KeyRotation, PublishLead: max(c.KeyPublishLead, leastLead)}, KeyRequest: c.SigningKeyRequest,
	}
}

func (c Config) password() password.Config {
	return password.Config{
		MemoryKiB: c.PasswordMemoryKiB, Passes: c.PasswordPasses, Concurrent: c.PasswordConcurrent, Queue: c.PasswordQueue,
	}
}
