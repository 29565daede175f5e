package stripesim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// batch is how many events are sent at the same time.
	batch = 16
	// lease keeps others from an event while one process sends it, and is the
	// wait after which the event of a process that died is sent again.
	lease = 30 * time.Second
	// quiet is how long no event may come before a reordered batch leaves.
	quiet = 300 * time.Millisecond
	// idle is the longest wait between two looks at the tables.
	idle = 500 * time.Millisecond
)

// enqueue makes deliveries of an event, in the transaction that made it.
func (s *Simulator) enqueue(ctx context.Context, tx pgx.Tx, eventID string, times int) error {
	delay := time.Duration(s.control.webhooks().DelayMS) * time.Millisecond
	_, err := tx.Exec(ctx, `INSERT INTO stripesim.delivery (event_id, next_at)
		SELECT $1, $2 FROM generate_series(1, $3)`, eventID, s.now().Add(delay), times)
	if err != nil {
		return fmt.Errorf("insert delivery: %w", err)
	}
	return nil
}

// poke wakes the loop without waiting for it.
func (s *Simulator) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run delivers events and lets slow payments and refunds settle, until the
// context ends; then it returns nil. A database that is away is tried again.
// Several processes may run at once.
func (s *Simulator) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer.C:
		}
		if err := s.round(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.WarnContext(ctx, "stripe simulator: will try again", "error", err)
		}
		timer.Reset(min(idle, s.cfg.RetryBase))
	}
}

// round settles and sends until nothing is due.
func (s *Simulator) round(ctx context.Context) error {
	if err := s.settleDue(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		sent, err := s.deliverDue(ctx)
		if err != nil || sent == 0 {
			return err
		}
	}
	return nil
}

// settleDue ends what has waited long enough, one transaction each.
func (s *Simulator) settleDue(ctx context.Context) error {
	for _, due := range []struct {
		kind   kind
		settle func(*work, context.Context, string) error
	}{{kindIntent, (*work).settleIntent}, {kindRefund, (*work).settleRefund}} {
		rows, err := s.cfg.Pool.Query(ctx, `SELECT id FROM `+due.kind.table+` WHERE settle_at <= $1 ORDER BY settle_at LIMIT 100`, s.now())
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, id := range ids {
			err := pgx.BeginFunc(ctx, s.cfg.Pool, func(tx pgx.Tx) error {
				var waits bool
				err := tx.QueryRow(ctx, `SELECT settle_at IS NOT NULL FROM `+due.kind.table+` WHERE id = $1 FOR UPDATE SKIP LOCKED`, id).Scan(&waits)
				if errors.Is(err, pgx.ErrNoRows) || (err == nil && !waits) {
					return nil // another process has it
				}
				if err != nil {
					return err
				}
				return due.settle(&work{sim: s, tx: tx, now: s.now(), baseURL: s.cfg.PublicURL}, ctx, id)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// delivery is one event on its way to one receiver.
type delivery struct {
	id       int64
	eventID  string
	attempts int
	created  time.Time
	body     []byte
}

// deliverDue claims a batch and sends it; it returns how many it claimed.
func (s *Simulator) deliverDue(ctx context.Context) (int, error) {
	how := s.control.webhooks()
	if how.Off || s.cfg.WebhookURL == "" {
		return 0, nil
	}
	due, err := s.claimDeliveries(ctx, how.Reorder)
	if err != nil {
		return 0, err
	}
	var group sync.WaitGroup
	for _, d := range due {
		if how.Reorder {
			s.deliver(ctx, d, how) // the order is the point: one after the other
			continue
		}
		group.Go(func() { s.deliver(ctx, d, how) })
	}
	group.Wait()
	return len(due), nil
}

func (s *Simulator) claimDeliveries(ctx context.Context, reorder bool) ([]delivery, error) {
	order := "ASC"
	if reorder {
		var busy bool
		err := s.cfg.Pool.QueryRow(ctx, `SELECT coalesce(max(created_at) > clock_timestamp() - $1::interval, false)
			FROM stripesim.delivery WHERE state = 'pending'`, quiet).Scan(&busy)
		if err != nil || busy {
			return nil, err
		}
		order = "DESC"
	}
	rows, err := s.cfg.Pool.Query(ctx, `
		WITH due AS (
			SELECT id FROM stripesim.delivery WHERE state = 'pending' AND next_at <= $1
			ORDER BY id `+order+` LIMIT $2 FOR UPDATE SKIP LOCKED
		), claimed AS (
			UPDATE stripesim.delivery d SET next_at = $3, attempts = attempts + 1 FROM due WHERE d.id = due.id
			RETURNING d.id, d.event_id, d.attempts, d.created_at
		)
		SELECT c.id, c.event_id, c.attempts, c.created_at, e.body
		FROM claimed c JOIN stripesim.event e ON e.id = c.event_id ORDER BY c.id `+order,
		s.now(), batch, s.now().Add(lease))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d delivery, err error) {
		err = row.Scan(&d.id, &d.eventID, &d.attempts, &d.created, &d.body)
		return d, err
	})
}

// deliver sends once and books the outcome. If the booking fails, the lease
// ends and the event is sent again: receivers must know an event by its id.
func (s *Simulator) deliver(ctx context.Context, d delivery, how webhookSettings) {
	answer, err := s.post(ctx, d, how)
	if ctx.Err() != nil {
		return
	}
	state, next := "delivered", s.now()
	if err != nil {
		answer, state = err.Error(), "pending"
		next = next.Add(s.backoff(d.attempts))
		if s.now().Sub(d.created) > s.cfg.AbandonAfter {
			state = "abandoned"
		}
		s.cfg.Logger.WarnContext(ctx, "stripe simulator: webhook was not taken", "event", d.eventID, "attempt", d.attempts, "state", state, "error", answer)
	}
	_, err = s.cfg.Pool.Exec(ctx, `UPDATE stripesim.delivery SET state = $2, next_at = $3, last_response = $4 WHERE id = $1`,
		d.id, state, next, answer)
	if err != nil && ctx.Err() == nil {
		s.cfg.Logger.WarnContext(ctx, "stripe simulator: delivery could not be booked", "event", d.eventID, "error", err)
	}
}

// post returns the status line, and an error for anything but 2xx.
func (s *Simulator) post(ctx context.Context, d delivery, how webhookSettings) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.WebhookURL, bytes.NewReader(d.body))
	if err != nil {
		return "", err
	}
	at := s.now().Add(time.Duration(how.ClockSkewS) * time.Second)
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Stripe-Signature", Sign(d.body, at, s.cfg.WebhookSecrets...))
	resp, err := s.cfg.Client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)) // so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return "", fmt.Errorf("answered %s", resp.Status)
	}
	return resp.Status, nil
}

// backoff doubles with each attempt.
func (s *Simulator) backoff(attempts int) time.Duration {
	const doublings = 20 // further ones would overflow and are beyond every RetryMax that makes sense
	return min(s.cfg.RetryBase<<min(attempts-1, doublings), s.cfg.RetryMax)
}

// Sign returns the header Stripe-Signature for a body: the time and one
// HMAC-SHA256 per secret over "time.body". Receivers accept any one of them.
func Sign(body []byte, at time.Time, secrets ...string) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	parts := []string{"t=" + stamp}
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(stamp + "."))
		mac.Write(body)
		parts = append(parts, "v1="+hex.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(parts, ",")
}
