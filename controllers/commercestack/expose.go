package commercestack

import (
	"context"

	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// expose keeps what makes the gateway reachable from outside.
func (v *visit) expose(ctx context.Context) Result {
	exposure := desired.Expose(v.in)
	var outcome Outcome
	if exposure.Ingress != nil {
		outcome.Add("apply", failed(v.pass.Apply(ctx, exposure.Ingress)))
	}
	if exposure.HTTPRoute != nil {
		outcome.Add("apply", v.applyForeign(ctx, exposure.HTTPRoute))
	}
	if exposure.Certificate != nil {
		outcome.Add("apply", v.applyForeign(ctx, exposure.Certificate))
	}
	v.status.URL = desired.PublicURL(v.in)
	return Result{Err: outcome.Err(), RequeueAfter: outcome.requeue}
}
