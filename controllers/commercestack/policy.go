package commercestack

import (
	"context"

	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// policy keeps the network policies. It waits for nothing: they are there before
// the first component runs.
func (v *visit) policy(ctx context.Context) Result {
	var outcome Outcome
	for _, policy := range desired.NetworkPolicies(v.in) {
		outcome.Add("apply", failed(v.pass.Apply(ctx, policy)))
	}
	return failed(outcome.Err())
}
