package commercestack

import "github.com/commercestack/commercestack/controllers/commercestack/desired"

// rollsOut holds while a rollout moves pods, or is about to: from the installation
// and its first administrator on until it is over or waits for a person.
func (v *visit) rollsOut() bool {
	if v.status.CurrentRevision == "" || v.vaultSecret.Annotations[doneAnnotation(desired.JobCreateAdmin)] == "" {
		return true
	}
	s := v.roll.State
	begins := s.Ended() && v.roll.revision != s.Current && v.roll.revision != s.Held
	return begins || v.rolloutActive()
}
