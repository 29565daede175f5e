package commercestack

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// pause says whether the operator acts, and makes the choices of a stack's
// lifetime on its first visit: they are stored before anything is created.
func (v *visit) pause(ctx context.Context) Result {
	switch v.stack.Spec.ReconcilePolicy {
	case v1alpha1.ReconcilePaused:
		v.set(v1alpha1.ConditionPaused, metav1.ConditionTrue, reasonPaused,
			"reconcilePolicy is Paused: nothing is changed. What would be changed is in status.pending.")
	case v1alpha1.ReconcileObserve:
		v.set(v1alpha1.ConditionPaused, metav1.ConditionTrue, reasonObserving,
			"reconcilePolicy is Observe: nothing is changed. What would be changed is in status.pending.")
	case v1alpha1.ReconcileManaged:
		v.set(v1alpha1.ConditionPaused, metav1.ConditionFalse, reasonManaged, "")
	}
	if v.status.RenderRevision != 0 && v.status.PostgresMode != "" {
		if v.stack.Spec.RenderRevision != nil {
			v.status.RenderRevision = *v.stack.Spec.RenderRevision
		}
		return Result{}
	}
	v.newborn = true
	v.status.RenderRevision = desired.CurrentRenderRevision
	if v.in.RenderRevision != 0 {
		v.status.RenderRevision = v.in.RenderRevision
	}
	mode, err := v.choosePostgres(ctx)
	if err != nil {
		return Result{Err: err, Stop: true}
	}
	v.status.PostgresMode = mode
	v.status.Rollout = &v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutIdle}
	return Result{Stop: true, RequeueAfter: 1}
}
