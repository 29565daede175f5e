package stripesim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// listFilter is a list of one kind, newest first, cut by cursors.
type listFilter struct {
	kind       kind
	url        string
	conditions []string
	args       []any
}

// match keeps objects whose field has the value; nil keeps all.
func (l *listFilter) match(field string, value *string) {
	if value == nil {
		return
	}
	l.where("doc ->> '"+field+"' = $%d", *value)
}

func (l *listFilter) where(condition string, arg any) {
	l.args = append(l.args, arg)
	l.conditions = append(l.conditions, fmt.Sprintf(condition, len(l.args)))
}

// page is where the list is cut.
type page struct {
	limit  int64
	after  string
	before string
}

func (l *listFilter) list(c *call) (execute, *apiError) {
	f := c.form
	p := page{limit: 10, after: deref(f.text("starting_after")), before: deref(f.text("ending_before"))}
	if limit := f.integer("limit"); limit != nil {
		p.limit = *limit
		if p.limit < 1 || p.limit > 100 {
			f.fail(invalid("parameter_invalid_integer", "limit", "This value must be between 1 and 100."))
		}
	}
	if p.after != "" && p.before != "" {
		f.fail(invalid("", "starting_after", "You may only specify one of these parameters: ending_before, starting_after."))
	}
	l.readCreated(f)
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		return l.run(ctx, tx, p)
	}, nil
}

// readCreated takes created=… and created[gt|gte|lt|lte]=….
func (l *listFilter) readCreated(f *form) {
	if exact := f.integer("created"); exact != nil {
		l.where("(doc ->> 'created')::bigint = $%d", *exact)
	}
	for name, operator := range map[string]string{"gt": ">", "gte": ">=", "lt": "<", "lte": "<="} {
		if bound := f.integer("created[" + name + "]"); bound != nil {
			l.where("(doc ->> 'created')::bigint "+operator+" $%d", *bound)
		}
	}
}

func (l *listFilter) run(ctx context.Context, tx pgx.Tx, p page) (any, error) {
	order := "DESC"
	for _, cursor := range []struct{ id, param, compare string }{{p.after, "starting_after", "<"}, {p.before, "ending_before", ">"}} {
		if cursor.id == "" {
			continue
		}
		seq, err := l.position(ctx, tx, cursor.id, cursor.param)
		if err != nil {
			return nil, err
		}
		l.where("seq "+cursor.compare+" $%d", seq)
		if cursor.compare == ">" {
			order = "ASC"
		}
	}
	where := ""
	if len(l.conditions) > 0 {
		where = " WHERE " + strings.Join(l.conditions, " AND ")
	}
	// One more than asked for tells whether there are more.
	rows, err := tx.Query(ctx, `SELECT doc FROM `+l.kind.table+where+
		` ORDER BY seq `+order+` LIMIT `+strconv.FormatInt(p.limit+1, 10), l.args...)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", l.kind.name, err)
	}
	docs, err := pgx.CollectRows(rows, pgx.RowTo[json.RawMessage])
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", l.kind.name, err)
	}
	more := int64(len(docs)) > p.limit
	if more {
		docs = docs[:p.limit]
	}
	if order == "ASC" {
		slices.Reverse(docs)
	}
	data := make([]any, len(docs))
	for i, doc := range docs {
		data[i] = renderDoc(doc)
	}
	return map[string]any{"object": "list", "data": data, "has_more": more, "url": l.url}, nil
}

func (l *listFilter) position(ctx context.Context, tx pgx.Tx, id, param string) (int64, error) {
	var seq int64
	err := tx.QueryRow(ctx, `SELECT seq FROM `+l.kind.table+` WHERE id = $1`, id).Scan(&seq)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, missing(400, l.kind.name, id, param)
	}
	return seq, err
}

// findBy reads the object whose field has a value that is unique to it.
func findBy[T any](ctx context.Context, tx pgx.Tx, k kind, field, value string) (*T, error) {
	var id string
	err := tx.QueryRow(ctx, `SELECT id FROM `+k.table+` WHERE doc ->> '`+field+`' = $1`, value).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", k.name, err)
	}
	return find[T](ctx, tx, k, id)
}

func listEvents(c *call) (execute, *apiError) {
	filter := listFilter{kind: kindEvent, url: "/v1/events"}
	filter.match("type", c.form.text("type"))
	if types := c.form.list("types"); len(types) > 0 {
		filter.where("doc ->> 'type' = ANY ($%d)", types)
	}
	c.form.ignore("delivery_success")
	return filter.list(c)
}
