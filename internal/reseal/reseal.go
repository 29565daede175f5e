// Package reseal seals every sealed field of a database anew after the key that
// seals was changed, while others read and write.
//
// A component declares its sealed columns in one place. Rows are read in
// batches in the order of their key and written only where the field is still
// what was read, so that a write that came in between wins; it was sealed with
// the new key. What was done needs nothing more: a run that was cut off is
// simply repeated.
package reseal

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/commercestack/commercestack/internal/crypto"
)

// Column is a column that holds sealed fields.
type Column struct {
	// Table and Name of the column.
	Table, Name string
	// Key are the columns of the table's primary key.
	Key []string
	// Bind are the expressions of a row that say what a field is bound to; Key when empty.
	Bind []string
	// AssociatedData of the field of a row, of the values of Bind.
	AssociatedData func(bind []string) []byte
	// JSON is the member of the column that holds the sealed field in base64,
	// when the column is a document. Where chooses rows, all when empty.
	JSON, Where string
}

// ID is the id by which a field is bound, when that is one column of UUIDs. The
// zero id, of what is no UUID, opens nothing.
func ID(bind []string) uuid.UUID {
	id, err := uuid.Parse(bind[0])
	if err != nil {
		return uuid.UUID{}
	}
	return id
}

const (
	batchSize = 200
	// passes bounds how often the table is gone through: only what was written meanwhile is left for the second.
	passes = 3
)

// Run seals the fields of a column with the first key of the ring and returns
// how many are left that could not be: they do not open, or others keep
// writing them with another key.
func Run(ctx context.Context, pool *pgxpool.Pool, ring *crypto.Keyring, column Column) (left int, err error) {
	for range passes {
		if left, err = column.pass(ctx, pool, ring); err != nil || left == 0 {
			return left, err
		}
	}
	return left, nil
}

// row is one field.
type row struct {
	key, bind []string
	sealed    []byte
}

// pass goes through the table once.
func (c Column) pass(ctx context.Context, pool *pgxpool.Pool, ring *crypto.Keyring) (left int, err error) {
	var after []string
	for {
		rows, err := c.read(ctx, pool, after)
		if err != nil {
			return left, err
		}
		for _, r := range rows {
			after = r.key
			if !ring.NeedsReseal(r.sealed) {
				continue
			}
			done, err := c.reseal(ctx, pool, ring, r)
			if err != nil {
				return left, err
			}
			if !done {
				left++
			}
		}
		if len(rows) < batchSize {
			return left, nil
		}
	}
}

// field is the expression of the sealed bytes.
func (c Column) field() string {
	if c.JSON == "" {
		return quote(c.Name)
	}
	return "decode(" + quote(c.Name) + "->>" + literal(c.JSON) + ", 'base64')"
}

func (c Column) read(ctx context.Context, pool *pgxpool.Pool, after []string) ([]row, error) {
	keys := make([]string, len(c.Key))
	for i, name := range c.Key {
		keys[i] = quote(name)
	}
	binds := c.Bind
	if len(binds) == 0 {
		binds = keys
	}
	where := c.field() + " IS NOT NULL"
	if c.Where != "" {
		where += " AND " + c.Where
	}
	var args []any
	if after != nil {
		places := make([]string, len(after))
		for i, value := range after {
			args, places[i] = append(args, value), "$"+strconv.Itoa(i+1)
		}
		where += " AND (" + strings.Join(keys, ", ") + ") > (" + strings.Join(places, ", ") + ")"
	}
	query := fmt.Sprintf("SELECT ARRAY[%s], ARRAY[%s], %s FROM %s WHERE %s ORDER BY %s LIMIT %d", strings.Join(texts(keys), ", "),
		strings.Join(texts(binds), ", "), c.field(), quote(c.Table), where, strings.Join(keys, ", "), batchSize)
	// Texts stand for values of any type: the server knows which.
	found, err := pool.Query(ctx, query, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, func(from pgx.CollectableRow) (r row, err error) {
		return r, from.Scan(&r.key, &r.bind, &r.sealed)
	})
}

// reseal writes one field anew. A field that has changed meanwhile counts as
// done unless it still needs it, which the next pass sees.
func (c Column) reseal(ctx context.Context, pool *pgxpool.Pool, ring *crypto.Keyring, r row) (done bool, err error) {
	bound := c.AssociatedData(r.bind)
	plain, err := ring.Open(r.sealed, bound)
	if err != nil {
		return false, nil //nolint:nilerr // it is counted, and others go on
	}
	sealed, err := ring.Seal(plain, bound)
	if err != nil {
		return false, err
	}
	set := quote(c.Name) + " = $1"
	if c.JSON != "" {
		set = fmt.Sprintf("%[1]s = jsonb_set(%[1]s, ARRAY[%[2]s], to_jsonb(translate(encode($1, 'base64'), E'\\n', '')))", quote(c.Name), literal(c.JSON))
	}
	where := []string{c.field() + " = $2"}
	args := []any{pgx.QueryExecModeSimpleProtocol, sealed, r.sealed}
	for i, name := range c.Key {
		where = append(where, quote(name)+" = $"+strconv.Itoa(i+3))
		args = append(args, r.key[i])
	}
	result, err := pool.Exec(ctx, "UPDATE "+quote(c.Table)+" SET "+set+" WHERE "+strings.Join(where, " AND "), args...)
	if err != nil {
		return false, err
	}
	return result.RowsAffected() == 1, nil
}

func texts(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = name + "::text"
	}
	return all
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
