package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/postgres"
	billing "github.com/commercestack/commercestack/services/billing/store"
	order "github.com/commercestack/commercestack/services/order/store"
	product "github.com/commercestack/commercestack/services/product/store"
)

// verifyTimeout bounds one rule: a database that was just restored has nothing in memory.
const verifyTimeout = 10 * time.Minute

// verdict is what verify found, as it is printed.
type verdict struct {
	// At is the moment of which the rules speak.
	At time.Time `json:"at"`
	// Violations of all rules.
	Violations int64 `json:"violations"`
	// Rules that were looked at.
	Rules []ruleVerdict `json:"rules"`
}

// ruleVerdict is what became of one rule.
type ruleVerdict struct {
	Component  string `json:"component"`
	Rule       string `json:"rule"`
	Violations int64  `json:"violations"`
}

// rule is a query that counts what breaks it. at is the moment of which it speaks.
type rule struct {
	component, name string
	count           func(ctx context.Context, db *postgres.DB, at time.Time) (int64, error)
}

// counted is a rule in one statement, which does not depend on the time.
func counted(component, name, query string) rule {
	return rule{component, name, func(ctx context.Context, db *postgres.DB, _ time.Time) (n int64, err error) {
		return n, db.Pool().QueryRow(ctx, query).Scan(&n)
	}}
}

// wholeRules hold in every snapshot of a shop, whatever it was doing. The rules that running
// components watch are among them, looked at as of the snapshot's time.
func wholeRules() []rule {
	rules := []rule{
		{"product", "stock_consistent", func(ctx context.Context, db *postgres.DB, _ time.Time) (int64, error) {
			return product.NewStockAudit(db).Whole(ctx)
		}},
		counted("product", "reservations_match_stock", `SELECT count(*) FROM stock_level s
			LEFT JOIN (SELECT l.product_id, sum(l.quantity) AS n FROM reservation_line l JOIN reservation r USING (order_id)
				WHERE r.state = 'ACTIVE' GROUP BY 1) held USING (product_id)
			WHERE s.reserved <> coalesce(held.n, 0)`),
		{"order", "orders_settled", func(ctx context.Context, db *postgres.DB, at time.Time) (int64, error) {
			return order.UnsettledAt(ctx, db, &at)
		}},
		counted("order", "lines_sum_to_order", `SELECT count(*) FROM orders o
			LEFT JOIN (SELECT order_id, count(*) AS n, sum(subtotal) AS subtotal, sum(discount) AS discount, sum(tax) AS tax
				FROM order_lines GROUP BY 1) l ON l.order_id = o.id
			WHERE (o.line_count, o.subtotal, o.discount, o.tax) IS DISTINCT FROM (l.n, l.subtotal, l.discount, l.tax)`),
		// Money arrives before its order is confirmed, so each confirmed order has its payment in the same snapshot.
		counted("order", "confirmed_orders_paid", `SELECT count(*) FROM orders o
			WHERE o.status IN ('CONFIRMED', 'FULFILLED', 'COMPLETED') AND o.total > 0 AND NOT EXISTS (
				SELECT FROM billing.payment p WHERE p.order_id = o.id AND p.status IN ('SUCCEEDED', 'PARTIALLY_REFUNDED', 'REFUNDED'))`),
		{"billing", "payments_reconciled", func(ctx context.Context, db *postgres.DB, at time.Time) (int64, error) {
			return billing.UnreconciledAt(ctx, db, &at)
		}},
		counted("billing", "charged_once", `SELECT count(*) FROM (SELECT order_id FROM payment
			WHERE status IN ('PENDING', 'AUTHORIZED', 'UNKNOWN', 'SUCCEEDED', 'PARTIALLY_REFUNDED') GROUP BY 1 HAVING count(*) > 1) AS twice`),
		counted("billing", "invoice_numbers_gapless", `SELECT count(*) FROM invoice_counter c
			FULL JOIN (SELECT regexp_replace(number, '-[0-9]+$', '') AS series, count(*) AS n, max(substring(number FROM '[0-9]+$')::bigint) AS last
				FROM invoice GROUP BY 1) i ON i.series = c.id
			WHERE (c.last, c.last) IS DISTINCT FROM (i.n, i.last)`),
	}
	for _, entry := range registry {
		if entry.migrations == nil {
			continue
		}
		rules = append(rules,
			rule{entry.name, "outbox_drained", func(ctx context.Context, db *postgres.DB, at time.Time) (int64, error) {
				return outbox.OverdueAt(ctx, db, outboxPatience, &at)
			}},
			counted(entry.name, "constraints_and_indexes_valid", `SELECT
				(SELECT count(*) FROM pg_constraint WHERE connamespace = current_schema()::regnamespace AND NOT convalidated) +
				(SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
					WHERE c.relnamespace = current_schema()::regnamespace AND NOT i.indisvalid)`))
	}
	return rules
}

// verifyDatabase looks at every rule. The error is one of a rule that could not
// be looked at, which is not a rule that holds.
func verifyDatabase(ctx context.Context, adminURL string, at time.Time) (verdict, error) {
	found := verdict{At: at.UTC(), Rules: []ruleVerdict{}}
	open := map[string]*postgres.DB{}
	defer func() {
		for _, db := range open {
			db.Close()
		}
	}()
	for _, r := range wholeRules() {
		db := open[r.component]
		if db == nil {
			var err error
			db, err = postgres.Open(ctx, postgres.Config{
				URL: adminURL, Schema: r.component, MaxConns: 1, StatementTimeout: verifyTimeout, ApplicationName: "commerce-verify",
				Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				return found, err
			}
			open[r.component] = db
		}
		n, err := r.count(ctx, db, at)
		if err != nil {
			return found, fmt.Errorf("rule %s of %s: %w", r.name, r.component, err)
		}
		found.Violations += n
		found.Rules = append(found.Rules, ruleVerdict{Component: r.component, Rule: r.name, Violations: n})
	}
	return found, nil
}

// broken names the rules that do not hold.
func (v verdict) broken() error {
	for _, r := range v.Rules {
		if r.Violations > 0 {
			return fmt.Errorf("%d violations, the first of rule %s of %s", v.Violations, r.Rule, r.Component)
		}
	}
	return nil
}

// backupVerifyCommand looks at a database that nobody works on.
type backupVerifyCommand struct {
	AdminURL string    `required:"" env:"COMMERCE_DATABASE_ADMIN_URL" help:"PostgreSQL with a role that may read every schema."`
	At       time.Time `help:"The moment of which rules about waiting speak, such as the time of a backup; now when empty."`
}

// Run implements the command.
func (c *backupVerifyCommand) Run(ctx context.Context, s streams) error {
	at := c.At
	if at.IsZero() {
		var err error
		if at, err = databaseClock(ctx, c.AdminURL); err != nil {
			return err
		}
	}
	found, err := verifyDatabase(ctx, c.AdminURL, at)
	if err != nil {
		return err
	}
	if err := printJSON(s.out, found); err != nil {
		return err
	}
	return found.broken()
}

// databaseClock is the server's time, by which its rows are dated.
func databaseClock(ctx context.Context, adminURL string) (now time.Time, err error) {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return now, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return now, conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now)
}

func printJSON(to io.Writer, value any) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
