package rollout

import (
	"time"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// Phase of a rollout, as status.rollout.phase shows it.
type Phase string

// The phases.
const (
	// PhaseIdle has nothing to roll out.
	PhaseIdle Phase = v1alpha1.RolloutIdle
	// PhasePending waits for a rotation, a window or a backup.
	PhasePending Phase = v1alpha1.RolloutPending
	// PhaseAwaitingApproval waits for a person.
	PhaseAwaitingApproval Phase = v1alpha1.RolloutAwaitingApproval
	// PhaseMigrating waits for the migration Job.
	PhaseMigrating Phase = v1alpha1.RolloutMigrating
	// PhaseProgressing is at a step of a canary.
	PhaseProgressing Phase = v1alpha1.RolloutProgressing
	// PhasePromoting replaces a wave.
	PhasePromoting Phase = v1alpha1.RolloutPromoting
	// PhasePaused waits for a person, with everything as it is.
	PhasePaused Phase = v1alpha1.RolloutPaused
	// PhaseRollingBack returns every wave to the revision that serves.
	PhaseRollingBack Phase = v1alpha1.RolloutRollingBack
	// PhaseComplete ended with the new revision.
	PhaseComplete Phase = v1alpha1.RolloutComplete
	// PhaseRolledBack ended with the old one.
	PhaseRolledBack Phase = v1alpha1.RolloutRolledBack
	// PhaseFailed ended before a pod was touched.
	PhaseFailed Phase = v1alpha1.RolloutFailed
)

// State of a stack's rollouts. Its source of truth is an object of its own, of
// which the status is a copy.
type State struct {
	Phase Phase `json:"phase,omitempty"`
	// Since is when the phase, or its step, began.
	Since time.Time `json:"since,omitzero"`
	// Current is the revision that serves customers, empty before the first.
	Current string `json:"current,omitempty"`
	// Previous served before it.
	Previous string `json:"previous,omitempty"`
	// Target is the revision of the running or last rollout.
	Target string `json:"target,omitempty"`
	// LastFailed is the revision that failed last.
	LastFailed string `json:"lastFailed,omitempty"`
	// Held is the spec's revision that is not tried again until the spec changes.
	Held string `json:"held,omitempty"`
	// Wave and Step are where the rollout is, both from 0.
	Wave int `json:"wave,omitempty"`
	Step int `json:"step,omitempty"`
	// EffectiveSince is when the canary of the step was first seen in traffic.
	EffectiveSince time.Time `json:"effectiveSince,omitzero"`
	// StepDone is true in the pause of a step that waits for a person.
	StepDone bool `json:"stepDone,omitempty"`
	// Resume is the phase to go on with after a pause or an approval, or to end in after going back.
	Resume Phase `json:"resume,omitempty"`
	// Undo is true for the return to an older revision, which skips steps, approval and migration.
	Undo bool `json:"undo,omitempty"`
	// SkipSteps is true after a person promoted.
	SkipSteps bool `json:"skipSteps,omitempty"`
	// Approved is the revision that ApprovedBy agreed to.
	Approved   string `json:"approved,omitempty"`
	ApprovedBy string `json:"approvedBy,omitempty"`
	// Requesters are all who were named as asking for the target, where another person must agree.
	Requesters []string `json:"requesters,omitempty"`
	// Request is the id of the last request that was answered.
	Request string `json:"request,omitempty"`
	// StartedAt and FinishedAt of the rollout.
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
	// Tallies count the measurements of the step by name.
	Tallies map[string]Tally `json:"tallies,omitempty"`
	// Measurements are the newest ones, for people.
	Measurements []Measurement `json:"measurements,omitempty"`
	// Message says what is waited for or what went wrong.
	Message string `json:"message,omitempty"`
}

// Active reports whether pods are, or are about to be, of two revisions:
// rotations wait for that. A migration counts, since a rollout follows it.
func (s State) Active() bool {
	switch s.Phase {
	case PhaseMigrating, PhaseProgressing, PhasePromoting, PhasePaused, PhaseRollingBack:
		return true
	case PhaseAwaitingApproval:
		return s.Resume == PhasePromoting
	default:
		return false
	}
}

// Waiting reports whether a rollout would begin if no rotation moved pods. A
// rotation that no consumer noticed yet gives way.
func (s State) Waiting() bool { return s.Phase == PhasePending }

// Ended reports whether no rollout runs.
func (s State) Ended() bool {
	switch s.Phase {
	case "", PhaseIdle, PhaseComplete, PhaseRolledBack, PhaseFailed:
		return true
	default:
		return false
	}
}

// touched reports whether a pod of the target may run.
func (s State) touched() bool {
	at := s.Phase
	if at == PhasePaused || at == PhaseAwaitingApproval {
		at = s.Resume
	}
	return at == PhaseProgressing || at == PhasePromoting || at == PhaseRollingBack
}

// first reports whether the rollout is the stack's first.
func (s State) first() bool { return s.Current == "" }

// enter is the state at the beginning of a phase.
func (s State) enter(phase Phase, message string, now time.Time) State {
	s.Phase, s.Message, s.Since, s.Resume, s.StepDone = phase, message, now, "", false
	s.EffectiveSince, s.Tallies = time.Time{}, nil
	if s.Ended() {
		s.FinishedAt = now
	}
	return s
}

// hold is the state in a phase that waits and keeps what runs as it is.
func (s State) hold(phase, resume Phase, message string, now time.Time) State {
	s.Phase, s.Message, s.Since, s.Resume = phase, message, now, resume
	return s
}

// Assignment is what one wave runs.
type Assignment struct {
	// Wave from 0.
	Wave int
	// Stable is the revision of the component's own Deployments; empty before a first rollout reaches the wave.
	Stable string
	// Canary is the revision beside it, empty for none.
	Canary string
	// Weight is the canary's share of the traffic in percent, where the step has one.
	Weight int32
	// Pods of the canary, where the step has them.
	Pods int32
	// FreezeScaleDown keeps the autoscaler of the stable pods from removing those
	// that are idle because the canary has their traffic.
	FreezeScaleDown bool
}

// Assignments is what every wave is to run now. Desired objects are made from
// it at every moment. A revision names images, settings and migrations, never
// the versions of secrets: those are the rotation's, whatever revision runs.
func (s State) Assignments(p Policy) []Assignment {
	at := s.Phase
	if at == PhasePaused || (at == PhaseAwaitingApproval && s.Resume == PhasePromoting) {
		at = s.Resume
	}
	assignments := make([]Assignment, p.Waves)
	for wave := range assignments {
		a := Assignment{Wave: wave, Stable: s.Current, FreezeScaleDown: s.Active() && p.Strategy == StrategyCanary}
		switch {
		case at != PhaseProgressing && at != PhasePromoting:
		case wave < s.Wave:
			a.Stable = s.Target
		case wave > s.Wave:
		case at == PhasePromoting && s.Phase != PhaseAwaitingApproval:
			a.Stable = s.Target
		case p.Strategy == StrategyCanary && len(p.Steps) > 0 && !s.first() && !s.Undo:
			step := p.step(s)
			a.Canary, a.Weight, a.Pods = s.Target, step.Weight, step.Pods
		}
		assignments[wave] = a
	}
	return assignments
}
