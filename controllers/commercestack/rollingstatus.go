package commercestack

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/rollout"
)

// versionOf is the version of a revision.
func (v *visit) versionOf(revision string) string {
	if revision == v.roll.revision {
		return v.stack.Spec.Version
	}
	return cmp.Or(v.roll.records[revision].snapshot.Spec.Version, "unknown")
}

// noteRollout puts the rollout into the status, of which the state's own object
// is the source.
func (v *visit) noteRollout() {
	s := v.roll.State
	v.status.CurrentRevision, v.status.LastFailedRevision = s.Current, s.LastFailed
	if s.Current != "" {
		v.status.Version = v.versionOf(s.Current)
	}
	status := v1alpha1.RolloutStatus{
		Phase: cmp.Or(string(s.Phase), v1alpha1.RolloutIdle), Revision: s.Target, Wave: int32(s.Wave), Step: int32(s.Step),
		StartedAt: stamp(s.StartedAt), StepStartedAt: stamp(s.Since), FinishedAt: stamp(s.FinishedAt), ApprovedBy: s.ApprovedBy, Message: s.Message,
	}
	for _, a := range v.roll.State.Assignments(v.roll.policy) {
		if a.Canary != "" {
			status.Weight = v.weight(a)
		}
	}
	for _, m := range s.Measurements {
		entry := v1alpha1.Measurement{Name: m.Name, Verdict: string(m.Verdict), At: metav1.NewTime(m.At.Truncate(time.Second))}
		if m.Value != nil {
			entry.Value = strconv.FormatFloat(*m.Value, 'g', 4, 64)
		}
		status.Measurements = append(status.Measurements, entry)
	}
	v.status.Rollout = &status
	v.noteApproval()
}

// stamp is a time of the status, nil for none.
func stamp(at time.Time) *metav1.Time {
	if at.IsZero() {
		return nil
	}
	t := metav1.NewTime(at.Truncate(timeUnit))
	return &t
}

// held reports whether the spec's revision is not tried (again), and why.
func (v *visit) held() (reason, message string, held bool) {
	s := v.roll.State
	if s.Held == "" || s.Held != v.roll.revision || !s.Ended() {
		return "", "", false
	}
	switch {
	case s.Phase == rollout.PhaseFailed && v.migrationFailed():
		return "MigrationFailed", fmt.Sprintf("Revision %s: %s. Change the spec, or remove the cause and delete the Job %s to have it run again",
			s.Held, s.Message, v.migrationJob()), true
	case s.Phase == rollout.PhaseComplete:
		return "Undone", fmt.Sprintf("A person returned to revision %s; revision %s of the spec is not rolled out until the spec changes", s.Current, s.Held), true
	default:
		return "RolloutFailed", fmt.Sprintf("Revision %s: %s. It is not tried again until the spec changes, or: kubectl commerce resume --rollout %s -n %s",
			s.Held, s.Message, v.stack.Name, v.stack.Namespace), true
	}
}

// tell queues the events of a transition.
func (v *visit) tell() {
	for _, e := range v.roll.effects {
		if e.Kind != rollout.EffectTell {
			continue
		}
		s := v.roll.State
		text := fmt.Sprintf("Revision %s (version %s)", e.Revision, v.versionOf(e.Revision))
		if s.Phase == rollout.PhaseProgressing || s.Phase == rollout.PhasePromoting {
			text += fmt.Sprintf(", wave %d", s.Wave)
		}
		if e.Message != "" {
			text += ": " + e.Message
		}
		reason := "Rollout" + string(s.Phase)
		switch s.Phase {
		case rollout.PhaseRollingBack, rollout.PhaseRolledBack, rollout.PhaseFailed, rollout.PhasePaused:
			v.warnf(reason, "Rollout", "%s.", text)
		default:
			v.tellf(reason, "Rollout", "%s.", text)
		}
	}
}

// countRollout counts a rollout that ended. The time it waited for people is not its own.
func (v *visit) countRollout(before rollout.State) {
	s := v.roll.State
	if !s.Ended() || before.Ended() || s.Phase == rollout.PhaseIdle || v.pass.Dry() {
		return
	}
	rollouts.WithLabelValues(v.stack.Namespace, v.stack.Name, string(s.Phase)).Inc()
	rolloutSeconds.WithLabelValues(string(s.Phase)).Observe((s.FinishedAt.Sub(s.StartedAt) - v.roll.Waited).Seconds())
}
