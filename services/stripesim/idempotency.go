package stripesim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// keyLife is how long a key remembers its answer.
const keyLife = 24 * time.Hour

// perform runs a call in one transaction. With an idempotency key the answer
// is stored in the same transaction as the effect, so that no crash parts
// them: whoever finds the answer knows that the effect is there, and whoever
// finds none may run. Errors of execution are stored too, 500 included; what
// failed before execution is not.
func (s *Simulator) perform(ctx context.Context, c *call, run execute, flaw fault) result {
	// A caller that hangs up must not undo an effect half-way.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	var res result
	err := pgx.BeginFunc(ctx, s.cfg.Pool, func(tx pgx.Tx) error {
		if earlier, err := s.claim(ctx, tx, c); earlier != nil || err != nil {
			res = deref(earlier)
			return err
		}
		var err error
		if res, err = s.attempt(ctx, tx, c, run); err != nil {
			return err
		}
		if flaw.Kind == faultErrorAfter {
			res = errorResult(serverError())
		}
		return remember(ctx, tx, c, res)
	})
	if err != nil {
		if isLockTimeout(err) {
			return errorResult(lockTimeout())
		}
		return s.fail(c, err)
	}
	return res
}

// attempt runs the call in a savepoint: a refused call leaves nothing behind,
// a declined card leaves its attempt.
func (s *Simulator) attempt(ctx context.Context, tx pgx.Tx, c *call, run execute) (result, error) {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return result{}, err
	}
	object, err := run(ctx, inner)
	var refused *apiError
	switch {
	case errors.As(err, &refused) && !refused.Commit:
		return errorResult(refused), inner.Rollback(ctx)
	case refused != nil:
		return errorResult(refused), inner.Commit(ctx)
	case err != nil:
		return result{}, err
	}
	shown, expandErr := expandAll(ctx, inner, object, c.expand)
	if errors.As(expandErr, &refused) {
		return errorResult(refused), inner.Rollback(ctx)
	}
	if expandErr != nil {
		return result{}, expandErr
	}
	return result{status: 200, body: encode(shown)}, inner.Commit(ctx)
}

// claim takes the key for this transaction. It returns an answer when the call
// must not run: the stored one, a conflict with a call in flight, or a
// mismatch. The advisory lock ends with the transaction, also when the process
// dies, so a key never stays stuck.
func (s *Simulator) claim(ctx context.Context, tx pgx.Tx, c *call) (*result, error) {
	if c.idempotencyKey == "" {
		_, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '2s'`)
		return nil, err
	}
	var free bool
	err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended($1, 42))
		FROM set_config('lock_timeout', '2s', true)`, "stripesim "+c.idempotencyKey).Scan(&free)
	if err != nil {
		return nil, err
	}
	if !free {
		return ptr(errorResult(idempotencyInUse(c.idempotencyKey))), nil
	}
	if _, err := tx.Exec(ctx, `DELETE FROM stripesim.idempotency_key WHERE key = $1 AND created_at < $2`,
		c.idempotencyKey, s.now().Add(-keyLife)); err != nil {
		return nil, err
	}
	var path string
	var hash []byte
	var stored result
	err = tx.QueryRow(ctx, `SELECT path, params_hash, request_id, status, body
		FROM stripesim.idempotency_key WHERE key = $1`, c.idempotencyKey).
		Scan(&path, &hash, &stored.replayed, &stored.status, &stored.body)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // no answer: the call runs
	case err != nil:
		return nil, err
	case path != c.request.URL.Path:
		return ptr(errorResult(idempotencyMismatch(
			"Keys for idempotent requests can only be used for the same endpoint they were first used for ('%s' vs '%s'). Try using a key other than '%s' if you meant to execute a different request.",
			clip(c.request.URL.Path), path, c.idempotencyKey))), nil
	case !bytes.Equal(hash, c.paramsHash()):
		return ptr(errorResult(idempotencyMismatch(
			"Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '%s' if you meant to execute a different request.",
			c.idempotencyKey))), nil
	}
	return &stored, nil
}

func remember(ctx context.Context, tx pgx.Tx, c *call, res result) error {
	if c.idempotencyKey == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO stripesim.idempotency_key (key, path, params_hash, request_id, status, body, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		c.idempotencyKey, c.request.URL.Path, c.paramsHash(), c.requestID, res.status, res.body, c.sim.now())
	return err
}

// paramsHash is over the sorted parameters: their order says nothing.
func (c *call) paramsHash() []byte {
	sum := sha256.Sum256([]byte(c.form.values.Encode()))
	return sum[:]
}

func isLockTimeout(err error) bool {
	const lockNotAvailable, deadlock = "55P03", "40P01"
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == lockNotAvailable || pg.Code == deadlock)
}
