package releaseapproval

import (
	"time"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

const (
	// Retention is how long an approval stays after its end.
	Retention = 30 * 24 * time.Hour
	// recheck is how often an old approval is looked at whose rollout goes on.
	recheck = 24 * time.Hour
)

// DeleteAt is when an approval is to go. stack is nil when there is none.
func DeleteAt(approval *v1alpha1.ReleaseApproval, stack *v1alpha1.CommerceStack, now time.Time) time.Time {
	if expires := approval.Spec.ExpiresAt; expires != nil {
		return expires.Add(Retention)
	}
	end := approval.CreationTimestamp.Add(Retention)
	if !now.Before(end) && rollsOut(stack, approval.Spec.Revision) {
		return now.Add(recheck)
	}
	return end
}

// rollsOut says whether a revision is on its way.
func rollsOut(stack *v1alpha1.CommerceStack, revision string) bool {
	return stack != nil && stack.Status.Rollout.Running() && stack.Status.Rollout.Revision == revision
}
