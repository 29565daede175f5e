// Package password hashes passwords with Argon2id. A hash costs tens of
// megabytes and a good part of a second of one core, so only a few run at
// once and only a bounded number waits: a burst of logins slows logins down
// and not the shop.
package password

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/commercestack/commercestack/internal/fault"
)

// retryAfter is what callers are told when too many wait.
const retryAfter = 2 * time.Second

// Config says what a hash costs and how many run. Zero values take the defaults named here.
type Config struct {
	// MemoryKiB is the memory of one hash; 65,536 (64 MiB).
	MemoryKiB uint32
	// Passes over the memory; 1.
	Passes uint32
	// Lanes of one hash; 1, so that a hash keeps one core busy.
	Lanes uint8
	// Concurrent is how many hashes run at once; half of the cores, at least 1.
	Concurrent int
	// Queue is how many callers may wait for their turn; 32.
	Queue int
}

func (c Config) withDefaults() Config {
	if c.MemoryKiB == 0 {
		c.MemoryKiB = 64 * 1024
	}
	if c.Passes == 0 {
		c.Passes = 1
	}
	if c.Lanes == 0 {
		c.Lanes = 1
	}
	if c.Concurrent <= 0 {
		c.Concurrent = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if c.Queue <= 0 {
		c.Queue = 32
	}
	return c
}

// Hasher is safe for concurrent use.
type Hasher struct {
	params  argon2id.Params
	dummy   string
	running chan struct{}
	waiting chan struct{}
}

// New returns a Hasher.
func New(config Config) *Hasher {
	config = config.withDefaults()
	h := &Hasher{
		params: argon2id.Params{
			Memory: config.MemoryKiB, Iterations: config.Passes, Parallelism: config.Lanes, SaltLength: 16, KeyLength: 32,
		},
		running: make(chan struct{}, config.Concurrent),
		waiting: make(chan struct{}, config.Concurrent+config.Queue),
	}
	h.dummy = newDummy(&h.params)
	return h
}

// newDummy returns an encoded hash that no password has: its key is random.
// Checking against it costs what checking a real one does, and making it costs nothing.
func newDummy(params *argon2id.Params) string {
	random := make([]byte, params.SaltLength+params.KeyLength)
	_, _ = rand.Read(random) // never fails: the runtime ends the program instead
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, params.Memory, params.Iterations,
		params.Parallelism, encode(random[:params.SaltLength]), encode(random[params.SaltLength:]))
}

// Hash returns the encoded hash of the password with a random salt.
func (h *Hasher) Hash(ctx context.Context, password string) (hash string, err error) {
	err = h.turn(ctx, func() error {
		hash, err = argon2id.CreateHash(normalize(password), &h.params)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hash, nil
}

// Verify reports whether the hash is the password's and whether it was made
// with other parameters than today's. An empty hash costs as much and never matches.
func (h *Hasher) Verify(ctx context.Context, password, hash string) (match, outdated bool, err error) {
	against := hash
	if hash == "" {
		against = h.dummy
	}
	err = h.turn(ctx, func() error {
		same, params, err := argon2id.CheckHash(normalize(password), against)
		if err != nil {
			return err
		}
		match = same && hash != ""
		outdated = match && *params != h.params
		return nil
	})
	if err != nil {
		return false, false, fmt.Errorf("verify password: %w", err)
	}
	return match, outdated, nil
}

// turn runs work when a slot is free. It refuses at once when too many wait and gives up with the caller.
func (h *Hasher) turn(ctx context.Context, work func() error) error {
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return fault.Unavailable("login", retryAfter).WithCause(errors.New("too many passwords wait to be hashed"))
	}
	select {
	case h.running <- struct{}{}:
		defer func() { <-h.running }()
	case <-ctx.Done():
		return fault.Unavailable("login", retryAfter).WithCause(ctx.Err())
	}
	return work()
}

// normalize makes the same password typed on two keyboards the same text.
func normalize(password string) string { return norm.NFKC.String(password) }
