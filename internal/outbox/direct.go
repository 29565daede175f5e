package outbox

import (
	"context"
	"fmt"

	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// Row is an event as the table outbox keeps it. A hot path that writes fact and
// event with one statement of its own inserts the four columns id, event_type,
// subject and payload, and calls Wake after the commit.
type Row struct {
	// ID, Type and Subject are the event's.
	ID, Type, Subject string
	// Payload is the wire form, a JSON object.
	Payload string
}

// NewRow encodes an event. It carries the request id of ctx as its trace id unless it has one.
func NewRow(ctx context.Context, e event.Event) (Row, error) {
	if e.TraceID == "" {
		if id := telemetry.RequestID(ctx); id != "" {
			e = e.WithTraceID(id)
		}
	}
	data, err := e.MarshalJSON()
	if err != nil {
		return Row{}, fmt.Errorf("outbox: %w", err)
	}
	return Row{ID: e.ID.String(), Type: e.Type, Subject: e.Subject, Payload: string(data)}, nil
}

// Wake tells this process's relay of db's schema that rows were committed without Write.
func Wake(db *postgres.DB) { relays.wake(db.Schema()) }
