package commercestack

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/rollout"
)

// byAnnotation stands for whoever may annotate the stack.
const byAnnotation = "annotation"

// approvals are the agreements that exist while one is waited for. Nobody knows
// who annotated a stack, so in Production an annotation approves nothing.
func (v *visit) approvals(ctx context.Context) ([]rollout.Approval, error) {
	if v.roll.State.Phase != rollout.PhaseAwaitingApproval {
		return nil, nil
	}
	var all []rollout.Approval
	if revision := strings.TrimSpace(v.stack.Annotations[v1alpha1.AnnotationApprove]); revision != "" && !v.roll.policy.FourEyes {
		all = append(all, rollout.Approval{Revision: revision, By: byAnnotation})
	}
	given, err := v.releaseApprovals(ctx)
	return append(all, given...), err
}

// releaseApprovals reads the ReleaseApprovals of the stack past the cache: one
// that was taken back must not count.
func (v *visit) releaseApprovals(ctx context.Context) ([]rollout.Approval, error) {
	list := &v1alpha1.ReleaseApprovalList{}
	if err := v.Live.List(ctx, list, client.InNamespace(v.stack.Namespace)); err != nil {
		return nil, fmt.Errorf("list ReleaseApprovals: %w", err)
	}
	var all []rollout.Approval
	for i := range list.Items {
		given := &list.Items[i]
		if given.Spec.Stack != v.stack.Name || !given.DeletionTimestamp.IsZero() {
			continue
		}
		approval := rollout.Approval{Revision: given.Spec.Revision, By: given.Spec.By}
		if given.Spec.ExpiresAt != nil {
			approval.ExpiresAt = given.Spec.ExpiresAt.Time
		}
		all = append(all, approval)
	}
	return all, nil
}

// stackOfApproval is the stack of a ReleaseApproval.
func stackOfApproval(_ context.Context, object client.Object) []reconcile.Request {
	approval, ok := object.(*v1alpha1.ReleaseApproval)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: approval.Namespace, Name: approval.Spec.Stack}}}
}

// noteApproval says whether a revision waits for a person.
func (v *visit) noteApproval() {
	s := v.roll.State
	if s.Phase != rollout.PhaseAwaitingApproval {
		v.set(v1alpha1.ConditionAwaitingApproval, metav1.ConditionFalse, reasonNone, "")
		return
	}
	name := fmt.Sprintf("%s -n %s", v.stack.Name, v.stack.Namespace)
	approve := fmt.Sprintf("kubectl commerce approve %s --revision %s", name, s.Target)
	how := "To approve: " + approve
	switch requester := v.requester(); {
	case v.roll.policy.FourEyes && requester == "":
		how = fmt.Sprintf("Whoever asked for the change says so first: kubectl annotate commercestack %s --overwrite %s=$(%s). "+
			"Then another person approves: %s", name, v1alpha1.AnnotationRequestedBy, v1alpha1.WhoAmI, approve)
	case v.roll.policy.FourEyes:
		how = fmt.Sprintf("To approve, by another person than %s: %s", cmp.Or(strings.Join(s.Requesters, ", "), requester), approve)
	}
	v.set(v1alpha1.ConditionAwaitingApproval, metav1.ConditionTrue, v1alpha1.RolloutAwaitingApproval, fmt.Sprintf(
		"Version %s: %s. %s", v.versionOf(s.Target), strings.TrimSuffix(s.Message, "."), how))
}
