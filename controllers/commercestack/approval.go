package commercestack

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// revision is the hash of what a rollout brings: the images, and the shape of pods.
func (v *visit) revision() string {
	parts := []string{fmt.Sprint(v.in.RenderRevision), desired.PlatformImage(v.in, "")}
	for _, component := range desired.Components() {
		parts = append(parts, desired.PlatformImage(v.in, component))
	}
	return desired.Hash(parts...)
}

// decide finds out which revision is wanted and whether it may begin. The first
// installation needs nobody's approval: there are no customers yet.
func (v *visit) decide() {
	revision := v.revision()
	v.status.UpdateRevision = revision
	approved := strings.TrimSpace(v.stack.Annotations[v1alpha1.AnnotationApprove]) == revision
	changed := v.status.CurrentRevision != "" && v.status.CurrentRevision != revision
	v.awaiting = changed && !approved && v.stack.Spec.Rollout.Approval != v1alpha1.ApprovalNone
	if v.awaiting {
		v.set(v1alpha1.ConditionAwaitingApproval, metav1.ConditionTrue, v1alpha1.RolloutAwaitingApproval, fmt.Sprintf(
			"Revision %s (version %s) waits for approval. To approve: kubectl annotate commercestack %s -n %s %s=%s --overwrite",
			revision, v.stack.Spec.Version, v.stack.Name, v.stack.Namespace, v1alpha1.AnnotationApprove, revision))
		return
	}
	v.set(v1alpha1.ConditionAwaitingApproval, metav1.ConditionFalse, reasonNone, "")
}

// noteRollout puts the rollout into the status.
func (v *visit) noteRollout(complete bool) {
	rollout := v1alpha1.RolloutStatus{}
	if v.status.Rollout != nil {
		rollout = *v.status.Rollout
	}
	now := metav1.NewTime(v.now.Truncate(timeUnit))
	if rollout.Revision != v.status.UpdateRevision {
		rollout = v1alpha1.RolloutStatus{Revision: v.status.UpdateRevision, StartedAt: &now}
	}
	switch {
	case v.awaiting:
		rollout.Phase = v1alpha1.RolloutAwaitingApproval
	case complete:
		if rollout.Phase != v1alpha1.RolloutComplete {
			rollout.FinishedAt = &now
		}
		rollout.Phase = v1alpha1.RolloutComplete
	case !v.is(v1alpha1.ConditionMigrationsApplied):
		rollout.Phase = v1alpha1.RolloutMigrating
	default:
		rollout.Phase = v1alpha1.RolloutProgressing
	}
	if rollout.Phase != v1alpha1.RolloutComplete && v.status.CurrentRevision == v.status.UpdateRevision {
		rollout.Phase = v1alpha1.RolloutComplete // pods of this revision come and go; it is still rolled out
	}
	rollout.Wave = v.wave
	v.status.Rollout = &rollout
}
