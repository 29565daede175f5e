package auth

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
)

// clockSkew is how far the clocks of two machines may differ.
const clockSkew = 5 * time.Minute

// Config holds the rules that an operator may change. Zero values are replaced by the defaults.
type Config struct {
	// AccessLife is the life of an access token; an hour.
	AccessLife time.Duration
	// RefreshLife is the life of an unused refresh token; 30 days.
	RefreshLife time.Duration
	// RefreshGrace is how long a used refresh token still returns its successor; 45 seconds.
	RefreshGrace time.Duration
	// VerifyLife is the life of a verification link; a day.
	VerifyLife time.Duration
	// ResetLife is the life of a reset link; half an hour.
	ResetLife time.Duration
	// AllowUnverified lets people log in before they answered the verification mail.
	AllowUnverified bool
	// PublicURL is the shop's address, the start of mailed links.
	PublicURL string
	// Keys is the schedule of signing keys.
	Keys KeyPolicy
	// KeyRequest asks for a new signing key, once for each value; empty asks for none.
	KeyRequest string
}

func (c Config) withDefaults() Config {
	c.AccessLife = cmp.Or(c.AccessLife, time.Hour)
	c.RefreshLife = cmp.Or(c.RefreshLife, 30*24*time.Hour)
	c.RefreshGrace = cmp.Or(c.RefreshGrace, 45*time.Second)
	c.VerifyLife = cmp.Or(c.VerifyLife, 24*time.Hour)
	c.ResetLife = cmp.Or(c.ResetLife, 30*time.Minute)
	c.Keys = c.Keys.withDefaults(c.AccessLife)
	return c
}

// Hasher turns passwords into hashes. It bounds how many run at once and
// answers KindUnavailable when too many wait.
type Hasher interface {
	// Hash returns a salted hash of the password.
	Hash(ctx context.Context, password string) (string, error)
	// Verify reports whether the hash is the password's, and whether it was made with outdated parameters.
	// An empty hash costs the same time and never matches.
	Verify(ctx context.Context, password, hash string) (match, outdated bool, err error)
}

// Throttle slows down guessing.
type Throttle interface {
	// Guess counts an attempt on an account from an address. A positive duration is how long to wait before another.
	Guess(ctx context.Context, email, address string) time.Duration
	// Forgive takes back the attempts on the account after a success from the address.
	Forgive(ctx context.Context, email, address string)
	// Mail counts a mail to an address and reports whether it may be sent.
	Mail(ctx context.Context, email string) bool
}

// AccessTokens signs and checks access tokens.
type AccessTokens interface {
	// Sign returns the token of the claims.
	Sign(key SigningKey, claims Claims) (string, error)
	// Verify returns the claims of a token whose signature, times and audience hold.
	Verify(ctx context.Context, token string) (Claims, error)
}

// Sealer encrypts what must be read back, bound to the purpose it was sealed for.
type Sealer interface {
	// Seal encrypts the plaintext.
	Seal(plaintext, purpose []byte) ([]byte, error)
	// Open decrypts what Seal returned for the same purpose.
	Open(sealed, purpose []byte) ([]byte, error)
}

// Revocations tells every verifier which sessions ended.
type Revocations interface {
	// Revoke makes verifiers refuse the sessions' access tokens for the given time.
	Revoke(ctx context.Context, sessionIDs []uuid.UUID, ttl time.Duration) error
}

// Mailer hands mails to the platform's notification component.
type Mailer interface {
	// Send queues a mail, once for each key however often it is called.
	Send(ctx context.Context, mail Mail) error
}

// Deps are what a Service needs.
type Deps struct {
	Store       Store
	Hasher      Hasher
	Throttle    Throttle
	Tokens      AccessTokens
	Sealer      Sealer
	Revocations Revocations
	Mailer      Mailer
	Now         func() time.Time
	Logger      *slog.Logger
}

func (d Deps) validate() error {
	if d.Store == nil || d.Hasher == nil || d.Throttle == nil || d.Tokens == nil || d.Sealer == nil ||
		d.Revocations == nil || d.Mailer == nil || d.Now == nil || d.Logger == nil {
		return errors.New("auth: a dependency is missing")
	}
	return nil
}

// Service is the component's behaviour.
type Service struct {
	store       Store
	hasher      Hasher
	throttle    Throttle
	tokens      AccessTokens
	sealer      Sealer
	revocations Revocations
	mailer      Mailer
	now         func() time.Time
	logger      *slog.Logger
	config      Config

	mu     sync.Mutex
	keys   []SigningKey // as of keysAt
	keysAt time.Time
}

// New returns a Service. It fails when a dependency is missing.
func New(config Config, deps Deps) (*Service, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	return &Service{
		store: deps.Store, hasher: deps.Hasher, throttle: deps.Throttle, tokens: deps.Tokens, sealer: deps.Sealer,
		revocations: deps.Revocations, mailer: deps.Mailer, now: deps.Now, logger: deps.Logger,
		config: config.withDefaults(),
	}, nil
}
