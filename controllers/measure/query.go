package measure

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/prometheus/common/model"
)

// ask sends a query of the spec to Prometheus, nil without data. Several series
// count by the greatest: each must be good.
func (m *Measurer) ask(ctx context.Context, q Question) (*float64, error) {
	if m.queries == nil {
		return nil, ErrNoPrometheus
	}
	query := strings.NewReplacer("{{stack}}", q.Stack, "{{namespace}}", q.Namespace, "{{revision}}", q.Revision).Replace(q.Query)
	answer, _, _, err := m.queries.Query(ctx, query, m.clock.Now())
	if err != nil {
		return nil, fmt.Errorf("query of %s: %w", q.Measure, err)
	}
	var worst *float64
	take := func(value model.SampleValue) {
		if !math.IsNaN(float64(value)) {
			worst = greater(worst, float64(value))
		}
	}
	switch answer := answer.(type) {
	case *model.Scalar:
		take(answer.Value)
	case model.Vector:
		for _, sample := range answer {
			take(sample.Value)
		}
	default:
		return nil, fmt.Errorf("query of %s: the answer is a %s, want a number or a vector", q.Measure, answer.Type())
	}
	return worst, nil
}
