package stripesim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
)

// work is what one transaction does to the objects, on behalf of a call or of
// time passing.
type work struct {
	sim       *Simulator
	tx        pgx.Tx
	now       time.Time
	baseURL   string
	requestID *string
	key       *string
}

func (c *call) work(tx pgx.Tx) *work {
	w := &work{sim: c.sim, tx: tx, now: c.sim.now(), baseURL: c.baseURL, requestID: &c.requestID}
	if c.idempotencyKey != "" {
		w.key = &c.idempotencyKey
	}
	return w
}

// emit records an event and its deliveries in the same transaction as the
// change. The bytes are made here, once: every attempt sends the same.
func (w *work) emit(ctx context.Context, eventType string, object any, previous map[string]any) error {
	e := event{
		ID: newID("evt"), Object: "event", APIVersion: APIVersion, Created: w.now.Unix(), Type: eventType,
		Data:    eventData{Object: render(object), Previous: previous},
		Request: eventRequest{ID: w.requestID, IdempotencyKey: w.key},
	}
	send := w.sim.cfg.WebhookURL != ""
	if send {
		e.PendingWebhooks = 1
	}
	body := encode(e)
	if _, err := w.tx.Exec(ctx, `INSERT INTO stripesim.event (id, doc, body) VALUES ($1, $2, $3)`, e.ID, body, body); err != nil {
		return fmt.Errorf("insert event: %w", err)
	}
	if !send {
		return nil
	}
	return w.sim.enqueue(ctx, w.tx, e.ID, 1+w.sim.control.webhooks().Duplicates)
}

// saveIntent stores the intent and tells about it.
func (w *work) saveIntent(ctx context.Context, pi *paymentIntent, events ...string) error {
	if err := save(ctx, w.tx, kindIntent, pi.ID, pi); err != nil {
		return err
	}
	for _, name := range events {
		if err := w.emit(ctx, "payment_intent."+name, pi, nil); err != nil {
			return err
		}
	}
	return nil
}

// intentOf locks the intent of a path.
func (w *work) intentOf(ctx context.Context, id string) (*paymentIntent, error) {
	pi, err := lock[paymentIntent](ctx, w.tx, kindIntent, id)
	if errors.Is(err, errNotFound) {
		return nil, missing(http.StatusNotFound, kindIntent.name, id, "intent")
	}
	return pi, err
}

// customerParam wants the customer that a parameter names to be there.
func (w *work) customerParam(ctx context.Context, id string) error {
	cus, err := find[customer](ctx, w.tx, kindCustomer, id)
	if errors.Is(err, errNotFound) || (err == nil && cus.Deleted) {
		return missing(http.StatusBadRequest, kindCustomer.name, id, "customer")
	}
	return err
}

// retrieve is the operation that reads one object by the id in the path.
func retrieve[T any](k kind, param string) func(*call) (execute, *apiError) {
	return func(c *call) (execute, *apiError) {
		c.form.ignore("client_secret")
		return func(ctx context.Context, tx pgx.Tx) (any, error) {
			object, err := find[T](ctx, tx, k, c.id())
			if errors.Is(err, errNotFound) {
				return nil, missing(http.StatusNotFound, k.name, c.id(), param)
			}
			if err != nil {
				return nil, err
			}
			return object, nil
		}, nil
	}
}

var (
	retrieveIntent = retrieve[paymentIntent](kindIntent, "intent")
	retrieveRefund = retrieve[refund](kindRefund, "id")
	retrieveCharge = retrieve[charge](kindCharge, "id")
	retrieveEvent  = retrieve[json.RawMessage](kindEvent, "id") // as stored: amounts pass through no float
)
