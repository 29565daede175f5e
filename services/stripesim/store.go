package stripesim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// kind is one sort of object: its table and its name in error texts.
type kind struct {
	table string
	name  string
}

var (
	kindCustomer = kind{"stripesim.customer", "customer"}
	kindMethod   = kind{"stripesim.payment_method", "PaymentMethod"}
	kindIntent   = kind{"stripesim.payment_intent", "payment_intent"}
	kindCharge   = kind{"stripesim.charge", "charge"}
	kindRefund   = kind{"stripesim.refund", "refund"}
	kindEvent    = kind{"stripesim.event", "event"}
)

var errNotFound = errors.New("stripesim: no such object")

func insert(ctx context.Context, tx pgx.Tx, k kind, id string, object any) error {
	doc, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("encode %s: %w", k.name, err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO `+k.table+` (id, doc) VALUES ($1, $2)`, id, doc)
	if err != nil {
		return fmt.Errorf("insert %s: %w", k.name, err)
	}
	return nil
}

func save(ctx context.Context, tx pgx.Tx, k kind, id string, object any) error {
	doc, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("encode %s: %w", k.name, err)
	}
	if _, err = tx.Exec(ctx, `UPDATE `+k.table+` SET doc = $2 WHERE id = $1`, id, doc); err != nil {
		return fmt.Errorf("save %s: %w", k.name, err)
	}
	return nil
}

// settleLater sets when the loop looks at an intent or refund again; nil ends
// the waiting.
func settleLater(ctx context.Context, tx pgx.Tx, k kind, id string, at *time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE `+k.table+` SET settle_at = $2 WHERE id = $1`, id, at); err != nil {
		return fmt.Errorf("schedule %s: %w", k.name, err)
	}
	return nil
}

// find reads an object, errNotFound when there is none.
func find[T any](ctx context.Context, tx pgx.Tx, k kind, id string) (*T, error) {
	return read[T](ctx, tx, k, id, "")
}

// lock reads an object that is about to change; others wait until the end of
// the transaction. An intent is locked before its charge, never after.
func lock[T any](ctx context.Context, tx pgx.Tx, k kind, id string) (*T, error) {
	return read[T](ctx, tx, k, id, " FOR UPDATE")
}

func read[T any](ctx context.Context, tx pgx.Tx, k kind, id, suffix string) (*T, error) {
	var doc []byte
	err := tx.QueryRow(ctx, `SELECT doc FROM `+k.table+` WHERE id = $1`+suffix, id).Scan(&doc)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", k.name, err)
	}
	object := new(T)
	if err := json.Unmarshal(doc, object); err != nil {
		return nil, fmt.Errorf("decode %s %s: %w", k.name, id, err)
	}
	return object, nil
}

// render turns an object into what a caller may see.
func render(object any) map[string]any {
	doc, err := json.Marshal(object)
	if err != nil {
		panic(fmt.Sprintf("stripesim: object cannot be encoded: %v", err)) // only our own plain structs come here
	}
	return renderDoc(doc)
}

func renderDoc(doc []byte) map[string]any {
	decoder := json.NewDecoder(bytes.NewReader(doc))
	decoder.UseNumber() // amounts must not pass through a float
	var shown map[string]any
	if err := decoder.Decode(&shown); err != nil {
		panic(fmt.Sprintf("stripesim: stored object is not JSON: %v", err)) // jsonb cannot hold anything else
	}
	delete(shown, "_sim")
	return shown
}

// encode is the form of every body that leaves the simulator.
func encode(body any) []byte {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(body); err != nil {
		panic(fmt.Sprintf("stripesim: answer cannot be encoded: %v", err)) // see render
	}
	return buf.Bytes()
}

func ptr[T any](v T) *T { return &v }

// deref is the value, or the zero value of an absent one.
func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// unset turns the empty text by which callers unset a field into null.
func unset(p *string) *string {
	if p == nil || *p == "" {
		return nil
	}
	return p
}
