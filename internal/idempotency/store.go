package idempotency

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/postgres"
)

// What clients branch on.
var (
	// ErrReused says that the key was used before with other parameters.
	ErrReused = fault.New(fault.KindConflict, "IDEMPOTENCY_KEY_REUSED", "this Idempotency-Key was used with other parameters")
	// ErrInProgress says that a call with the same key still runs.
	ErrInProgress = fault.New(fault.KindConflict, "IDEMPOTENCY_IN_PROGRESS", "a call with this Idempotency-Key is still running")
)

const (
	// DefaultLease is how long a claim outlives the process that died with it, and so
	// how long its caller is refused. A call that runs longer extends it. Should one be
	// unable to, and another run begin beside it, both make the same resource: the
	// lease spares work, the resource id keeps money and goods from being taken twice.
	DefaultLease = 10 * time.Second
	// Retention is how long an answer can be replayed, at least.
	Retention = 24 * time.Hour

	purgeEvery = time.Hour
	purgeBatch = 5000
)

// Store keeps the claims and answers of one component.
type Store struct {
	db      *postgres.DB
	keyring *crypto.Keyring
	lease   time.Duration
	logger  *slog.Logger
}

// Option changes a store.
type Option func(*Store)

// WithLease sets how long a claim outlives the process that died with it, instead of DefaultLease.
func WithLease(d time.Duration) Option { return func(s *Store) { s.lease = d } }

// WithLogger sets where failures to settle a claim go, instead of slog.Default().
func WithLogger(logger *slog.Logger) Option { return func(s *Store) { s.logger = logger } }

// NewStore returns a store over db's schema. The keyring seals the answers, which may hold tokens.
func NewStore(db *postgres.DB, keyring *crypto.Keyring, options ...Option) *Store {
	s := &Store{db: db, keyring: keyring, lease: DefaultLease, logger: slog.Default()}
	for _, option := range options {
		option(s)
	}
	return s
}

// claimKey is the primary key of a claim.
type claimKey struct{ scope, procedure, key string }

func (k claimKey) associated(column string) []byte {
	return []byte("idempotency_key\x00" + column + "\x00" + k.scope + "\x00" + k.procedure + "\x00" + k.key)
}

// claim is a running claim. until is also its proof: whoever took over moved it on.
type claim struct {
	claimKey

	resourceID uuid.UUID

	mutex sync.Mutex // held while the lease is moved
	until time.Time
}

// begin claims the key. Either the claim is ours, or answer is what a finished
// one stored, or the error is ErrReused or ErrInProgress.
//
// The commit is asynchronous: the log is sequential, so whatever the handler
// commits afterwards makes the claim durable too.
func (s *Store) begin(ctx context.Context, key claimKey, params []byte) (c *claim, answer []byte, err error) {
	sum := sha256.Sum256(params)
	// Sealed, since a hash alone lets the holder of a stolen table try passwords against it.
	sealed, err := s.keyring.Seal(sum[:], key.associated("params_hash"))
	if err != nil {
		return nil, nil, fmt.Errorf("idempotency: %w", err)
	}
	for {
		c := &claim{claimKey: key, resourceID: uuid.Must(uuid.NewV7())}
		err := s.db.Pool().QueryRow(ctx, `INSERT INTO idempotency_key (scope, procedure, key, params_hash, resource_id, state, lease_until)
			VALUES ($1, $2, $3, $4, $5, 'in_progress', now() + $6::interval) ON CONFLICT (scope, procedure, key) DO NOTHING
			RETURNING lease_until, set_config('synchronous_commit', 'off', true)`,
			key.scope, key.procedure, key.key, sealed, c.resourceID, s.lease).Scan(&c.until, nil)
		if err == nil {
			return c, nil, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return nil, nil, fmt.Errorf("idempotency: claim: %w", postgres.Fault(err))
		}
		c, answer, err := s.join(ctx, key, sum[:])
		if !errors.Is(err, pgx.ErrNoRows) {
			return c, answer, err
		}
		// The row was purged or taken over between the two statements.
	}
}

// join looks at the claim that is there. pgx.ErrNoRows means that it changed meanwhile.
func (s *Store) join(ctx context.Context, key claimKey, sum []byte) (*claim, []byte, error) {
	c := &claim{claimKey: key}
	var params, answer []byte
	var state string
	var expired bool
	var until *time.Time
	err := s.db.Pool().QueryRow(ctx, `SELECT params_hash, resource_id, state, response, lease_until, coalesce(lease_until <= now(), true)
		FROM idempotency_key WHERE scope = $1 AND procedure = $2 AND key = $3`, key.scope, key.procedure, key.key).
		Scan(&params, &c.resourceID, &state, &answer, &until, &expired)
	if err != nil {
		return nil, nil, postgres.Fault(err)
	}
	known, err := s.keyring.Open(params, key.associated("params_hash"))
	if err != nil {
		return nil, nil, fmt.Errorf("idempotency: stored parameters: %w", err)
	}
	if subtle.ConstantTimeCompare(known, sum) != 1 {
		return nil, nil, ErrReused
	}
	if state == "done" {
		answer, err := s.keyring.Open(answer, key.associated("response"))
		if err != nil {
			return nil, nil, fmt.Errorf("idempotency: stored answer: %w", err)
		}
		return nil, answer, nil
	}
	if !expired {
		busy := *ErrInProgress
		busy.RetryAfter = time.Second
		return nil, nil, &busy
	}
	if until != nil {
		c.until = *until
	}
	if err := s.extend(ctx, c); err != nil {
		return nil, nil, err
	}
	return c, nil, nil
}

// keep extends the lease while the call runs. It costs nothing unless the call takes a third of the lease.
func (s *Store) keep(ctx context.Context, c *claim) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(s.lease/3, func() {
		ticker := time.NewTicker(s.lease / 3)
		defer ticker.Stop()
		for ctx.Err() == nil {
			if err := s.extend(ctx, c); err != nil && ctx.Err() == nil {
				s.logger.WarnContext(ctx, "cannot extend the lease of an idempotent call", slog.Any("cause", err))
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	})
	return func() {
		timer.Stop()
		cancel()
	}
}

// extend moves the lease on. pgx.ErrNoRows means that the claim is no longer ours.
func (s *Store) extend(ctx context.Context, c *claim) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return postgres.Fault(s.db.Pool().QueryRow(ctx, `UPDATE idempotency_key SET lease_until = now() + $5::interval
		WHERE scope = $1 AND procedure = $2 AND key = $3 AND state = 'in_progress' AND lease_until = $4
		RETURNING lease_until, set_config('synchronous_commit', 'off', true)`,
		c.scope, c.procedure, c.key, c.until, s.lease).Scan(&c.until, nil))
}

// finish stores the answer. Another run that took the claim over has the same
// resource id and so the same answer; the first to finish wins.
func (s *Store) finish(ctx context.Context, c *claim, answer []byte) error {
	sealed, err := s.keyring.Seal(answer, c.associated("response"))
	if err != nil {
		return err
	}
	_, err = s.db.Pool().Exec(ctx, `UPDATE idempotency_key SET state = 'done', response = $4, lease_until = NULL
		WHERE scope = $1 AND procedure = $2 AND key = $3 AND state = 'in_progress'
		RETURNING set_config('synchronous_commit', 'off', true)`, c.scope, c.procedure, c.key, sealed)
	return err
}

// release ends the lease of a failed call, so that the next try need not wait for it.
func (s *Store) release(ctx context.Context, c *claim) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	_, err := s.db.Pool().Exec(ctx, `UPDATE idempotency_key SET lease_until = now()
		WHERE scope = $1 AND procedure = $2 AND key = $3 AND state = 'in_progress' AND lease_until = $4`,
		c.scope, c.procedure, c.key, c.until)
	return err
}

// Purge forgets claims older than Retention and returns how many.
func (s *Store) Purge(ctx context.Context) (int, error) {
	for total := 0; ; {
		tag, err := s.db.Pool().Exec(ctx, `DELETE FROM idempotency_key WHERE (scope, procedure, key) IN (
			SELECT scope, procedure, key FROM idempotency_key WHERE create_time < now() - $1::interval
				AND (lease_until IS NULL OR lease_until < now()) ORDER BY create_time LIMIT $2)`, Retention, purgeBatch)
		n := int(tag.RowsAffected())
		total += n
		if err != nil || n < purgeBatch {
			return total, postgres.Fault(err)
		}
	}
}

// Run purges every hour until ctx ends. Failures are logged.
func (s *Store) Run(ctx context.Context) error {
	for {
		timer := time.NewTimer(purgeEvery + rand.N(purgeEvery/4)) //nolint:gosec // spreads load, guards nothing
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if _, err := s.Purge(ctx); err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "cannot purge idempotency keys", slog.String("schema", s.db.Schema()), slog.Any("cause", err))
		}
	}
}
