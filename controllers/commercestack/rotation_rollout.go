package commercestack

import (
	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// rollsOut holds while a rollout moves pods, or is about to: from the installation
// and its first administrator on until it is over or waits for a person.
func (v *visit) rollsOut() bool {
	if v.status.CurrentRevision == "" || v.vaultSecret.Annotations[doneAnnotation(desired.JobCreateAdmin)] == "" {
		return true
	}
	if v.revision() != v.status.UpdateRevision {
		return true
	}
	switch v.rolloutPhase() {
	case "", v1alpha1.RolloutIdle, v1alpha1.RolloutPending, v1alpha1.RolloutComplete, v1alpha1.RolloutAwaitingApproval, v1alpha1.RolloutRolledBack, v1alpha1.RolloutFailed:
		return false
	default:
		return true
	}
}

func (v *visit) rolloutPhase() string {
	if v.status.Rollout == nil {
		return ""
	}
	return v.status.Rollout.Phase
}

// rotationHolds says whether a rollout waits because a rotation is replacing pods.
func (v *visit) rotationHolds() bool {
	return v.rotationMovesPods && v.status.CurrentRevision != "" && v.status.CurrentRevision != v.status.UpdateRevision
}
