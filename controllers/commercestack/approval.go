package commercestack

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/rollout"
)

const (
	// byAnnotation stands for whoever may annotate the stack.
	byAnnotation = "annotation"
	// approvalPoll is how often approvals are looked for while one is waited for.
	approvalPoll = 5 * time.Second
)

var kindApproval = v1alpha1.GroupVersion.WithKind("ReleaseApproval")

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

// releaseApprovals reads the ReleaseApprovals of the stack past the cache, none
// where the cluster does not know the kind.
func (v *visit) releaseApprovals(ctx context.Context) ([]rollout.Approval, error) {
	if _, err := v.Mapper.RESTMapping(kindApproval.GroupKind(), kindApproval.Version); err != nil {
		return nil, nil //nolint:nilerr // without the kind there is no approval
	}
	v.lookAfter(approvalPoll)
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kindApproval.GroupVersion().WithKind(kindApproval.Kind + "List"))
	if err := v.Live.List(ctx, list, client.InNamespace(v.stack.Namespace)); err != nil {
		if meta.IsNoMatchError(err) || missing(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("list ReleaseApprovals: %w", err)
	}
	var all []rollout.Approval
	for i := range list.Items {
		field := func(name string) string {
			text, _, _ := unstructured.NestedString(list.Items[i].Object, "spec", name)
			return text
		}
		if field("stack") != v.stack.Name {
			continue
		}
		approval := rollout.Approval{Revision: field("revision"), By: field("by")}
		if end := field("expiresAt"); end != "" {
			at, err := time.Parse(time.RFC3339, end)
			if err != nil {
				continue // an end that cannot be read may have passed
			}
			approval.ExpiresAt = at
		}
		all = append(all, approval)
	}
	return all, nil
}

// noteApproval says whether a revision waits for a person.
func (v *visit) noteApproval() {
	s := v.roll.State
	if s.Phase != rollout.PhaseAwaitingApproval {
		v.set(v1alpha1.ConditionAwaitingApproval, metav1.ConditionFalse, reasonNone, "")
		return
	}
	v.set(v1alpha1.ConditionAwaitingApproval, metav1.ConditionTrue, v1alpha1.RolloutAwaitingApproval, fmt.Sprintf(
		"Version %[2]s: %[3]s. To approve: kubectl commerce approve %[4]s -n %[5]s --revision %[1]s",
		s.Target, v.versionOf(s.Target), strings.TrimSuffix(s.Message, "."), v.stack.Name, v.stack.Namespace))
}
