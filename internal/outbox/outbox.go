// Package outbox lets an event leave exactly when the fact it tells of
// committed. Write puts it into a table of the component in the same
// transaction; the Relay publishes what committed and deletes it afterwards. A
// crash between the two publishes the event again under the same id, which the
// bus ignores.
package outbox

import (
	"context"
	"fmt"
	"sync"

	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/postgres"
)

const insert = `WITH written AS (
	INSERT INTO outbox (id, event_type, subject, payload)
	SELECT id, event_type, subject, payload::jsonb
	FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS e (id, event_type, subject, payload, place)
	ORDER BY place
) SELECT current_schema()`

// Write puts the events into the outbox with one statement. They carry the
// request id of ctx as their trace id unless they have one. The relay of this
// process is woken after the commit: NOTIFY would make all commits of the
// database queue behind each other.
func Write(ctx context.Context, tx *postgres.Tx, events ...event.Event) error {
	if len(events) == 0 {
		return nil
	}
	n := len(events)
	ids, types, subjects, payloads := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, e := range events {
		row, err := NewRow(ctx, e)
		if err != nil {
			return err
		}
		ids[i], types[i], subjects[i], payloads[i] = row.ID, row.Type, row.Subject, row.Payload
	}
	var schema string
	if err := tx.QueryRowContext(ctx, insert, ids, types, subjects, payloads).Scan(&schema); err != nil {
		return fmt.Errorf("outbox: write %d events: %w", n, err)
	}
	tx.AfterCommit(func() { relays.wake(schema) })
	return nil
}

// relays are the running relays of this process by schema.
var relays = registry{wakers: map[string]map[chan struct{}]struct{}{}}

type registry struct {
	mutex  sync.Mutex
	wakers map[string]map[chan struct{}]struct{}
}

func (r *registry) add(schema string, waker chan struct{}) (remove func()) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.wakers[schema] == nil {
		r.wakers[schema] = map[chan struct{}]struct{}{}
	}
	r.wakers[schema][waker] = struct{}{}
	return func() {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		delete(r.wakers[schema], waker)
	}
}

func (r *registry) wake(schema string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for waker := range r.wakers[schema] {
		select {
		case waker <- struct{}{}:
		default:
		}
	}
}
