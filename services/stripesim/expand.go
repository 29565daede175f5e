package stripesim

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
)

// maxExpandDepth is Stripe's limit.
const maxExpandDepth = 4

// expandAll renders an object and replaces the ids at the given paths
// ("latest_charge.balance_transaction") by the objects they name.
func expandAll(ctx context.Context, tx pgx.Tx, object any, paths []string) (map[string]any, error) {
	shown := render(object)
	for _, path := range paths {
		steps := strings.Split(path, ".")
		if len(steps) > maxExpandDepth {
			return nil, invalid("", "expand", "You cannot expand more than %d levels of a property (%s).", maxExpandDepth, clip(path))
		}
		if err := expand(ctx, tx, shown, steps, path); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

func expand(ctx context.Context, tx pgx.Tx, object map[string]any, steps []string, path string) error {
	value, known := object[steps[0]]
	if steps[0] == "refunds" && object["object"] == "charge" {
		known = true
		if value == nil {
			var err error
			if value, err = refundsOf(ctx, tx, object["id"]); err != nil {
				return err
			}
			object[steps[0]] = value
		}
	}
	if !known {
		return invalid("", "expand", "This property cannot be expanded (%s).", clip(path))
	}
	if id, ok := value.(string); ok {
		child, err := objectByID(ctx, tx, id)
		if errors.Is(err, errNotFound) {
			return invalid("", "expand", "This property cannot be expanded (%s).", clip(path))
		}
		if err != nil {
			return err
		}
		value = child
		object[steps[0]] = child
	}
	return descend(ctx, tx, value, steps[1:], path)
}

func descend(ctx context.Context, tx pgx.Tx, value any, rest []string, path string) error {
	if len(rest) == 0 {
		return nil
	}
	switch value := value.(type) {
	case map[string]any:
		return expand(ctx, tx, value, rest, path)
	case []any:
		for _, item := range value {
			if err := descend(ctx, tx, item, rest, path); err != nil {
				return err
			}
		}
	}
	return nil // null has nothing to expand
}

func refundsOf(ctx context.Context, tx pgx.Tx, chargeID any) (any, error) {
	id, _ := chargeID.(string)
	filter := listFilter{kind: kindRefund, url: "/v1/charges/" + id + "/refunds"}
	filter.match("charge", &id)
	return filter.run(ctx, tx, page{limit: 10})
}

var kindsByPrefix = map[string]kind{
	"cus": kindCustomer, "pm": kindMethod, "pi": kindIntent, "ch": kindCharge, "re": kindRefund, "evt": kindEvent,
}

func objectByID(ctx context.Context, tx pgx.Tx, id string) (map[string]any, error) {
	prefix, _, _ := strings.Cut(id, "_")
	if prefix == "txn" {
		txn, err := balanceTransaction(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		return render(txn), nil
	}
	k, ok := kindsByPrefix[prefix]
	if !ok {
		return nil, errNotFound
	}
	object, err := find[json.RawMessage](ctx, tx, k, id)
	if err != nil {
		return nil, err
	}
	return render(object), nil
}
