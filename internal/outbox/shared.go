package outbox

import (
	"context"
	"fmt"

	"github.com/commercestack/commercestack/internal/postgres"
)

// sharedBus is a bus that lives in the same database as the outbox: the
// hand-over is then one statement.
type sharedBus interface {
	// Shares reports whether db's transactions reach the bus.
	Shares(db *postgres.DB) bool
	// PublishFunction names the database's function that publishes ids, types, subjects and bodies given as arrays.
	PublishFunction() string
	// CountPublished counts events that were published by the function.
	CountPublished(n int)
}

// relayShared is a round in one statement. With an empty outbox it does nothing but look. Rows that another relay took
// before the lock was got are gone when they are locked here, and are left out. The body is passed on as it is: an
// event this version cannot read must not hold up those behind it. The rows are deleted by their places as an array: a
// join with them may be planned as a scan of the whole table, which is long after a burst.
const relayShared = `WITH mine AS MATERIALIZED (
	SELECT pg_try_advisory_xact_lock(hashtextextended('outbox ' || current_schema(), 0)) AS locked,
		set_config('synchronous_commit', 'off', true)
	WHERE (SELECT min(seq) FROM outbox) IS NOT NULL
), taken AS MATERIALIZED (
	SELECT o.ctid AS place, o.seq, o.id, o.event_type, o.subject, o.payload::text AS body
	FROM outbox o WHERE (SELECT locked FROM mine)
	ORDER BY o.seq LIMIT $1 FOR UPDATE SKIP LOCKED
), deleted AS (
	DELETE FROM outbox WHERE ctid = ANY (ARRAY(SELECT place FROM taken))
), batch AS MATERIALIZED (
	SELECT count(*) AS n, array_agg(id ORDER BY seq) AS ids, array_agg(event_type ORDER BY seq) AS types,
		array_agg(subject ORDER BY seq) AS subjects, array_agg(body ORDER BY seq) AS bodies
	FROM taken
)
SELECT (SELECT locked FROM mine), n, CASE WHEN n > 0 THEN %s(ids, types, subjects, bodies) END FROM batch`

func (r *Relay) roundShared(ctx context.Context, b sharedBus) (int, error) {
	var locked *bool
	var n int
	err := r.DB.Pool().QueryRow(ctx, fmt.Sprintf(relayShared, b.PublishFunction()), r.Batch).Scan(&locked, &n, nil)
	if err != nil {
		return 0, fmt.Errorf("outbox: relay: %w", postgres.Fault(err))
	}
	if locked != nil && !*locked {
		return busy, nil
	}
	b.CountPublished(n)
	return n, nil
}
