package app

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/postgres"
)

const (
	// invariantPeriod is how often rules are looked at: broken ones stay broken.
	invariantPeriod = 45 * time.Second
	// outboxPatience is how long an event may wait for a bus that is there.
	outboxPatience = 5 * time.Minute
)

// newInvariants returns the gauge of broken rules. It is 0 while they hold and
// missing while nobody can tell.
func newInvariants() *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "commerce_invariant_violations", Help: "What breaks a rule that always holds, by component and rule; 0 when it is kept.",
	}, []string{"component", "invariant"})
}

// watchInvariants looks at the rules of a component until ctx ends.
func (p *process) watchInvariants(built *component.Component, db *postgres.DB) func(context.Context) error {
	rules := append([]component.Invariant{{Name: "outbox_drained", Violations: func(ctx context.Context) (int64, error) {
		return outbox.Overdue(ctx, db, outboxPatience)
	}}}, built.Invariants...)
	return func(ctx context.Context) error {
		for {
			for _, rule := range rules {
				p.look(ctx, built.Name, rule)
			}
			// Replicas that started together do not ask together for long.
			timer := time.NewTimer(invariantPeriod + rand.N(invariantPeriod/4)) //nolint:gosec // spreads load, guards nothing
			select {
			case <-ctx.Done():
				timer.Stop()
				return nil
			case <-timer.C:
			}
		}
	}
}

func (p *process) look(ctx context.Context, name string, rule component.Invariant) {
	violations, err := rule.Violations(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		p.invariants.DeleteLabelValues(name, rule.Name)
		p.resources.logger.WarnContext(ctx, "nobody can tell whether a rule holds", slog.String("component", name),
			slog.String("invariant", rule.Name), slog.Any("cause", err))
	default:
		p.invariants.WithLabelValues(name, rule.Name).Set(float64(violations))
		if violations > 0 {
			p.resources.logger.ErrorContext(ctx, "a rule is broken", slog.String("component", name),
				slog.String("invariant", rule.Name), slog.Int64("violations", violations))
		}
	}
}
