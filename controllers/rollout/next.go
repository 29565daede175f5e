package rollout

import (
	"slices"
	"time"
)

// Next moves a stack's rollout on by at most one transition and returns what is
// to be done then. At the same state with the same observation it returns the
// same, so it may be repeated after a crash; it is called again when the state
// changed, when something that it observes changed, and at Wake.
func (p Policy) Next(s State, o Observation, now time.Time) (State, []Effect) {
	if o.Paused {
		return s, nil
	}
	before := s
	if o.Request.ID != "" && o.Request.ID != s.Request {
		s = p.answer(s, o, now)
	} else {
		s = p.move(s, o, now)
	}
	s = p.asked(s, o)
	effects := p.effects(s, o, now)
	if s.Phase != before.Phase && s.Phase != PhaseIdle && s.Phase != PhasePending {
		effects = append(effects, Effect{Kind: EffectTell, Revision: s.Target, Message: s.Message})
	}
	return s, effects
}

// move is the transition, if there is one.
func (p Policy) move(s State, o Observation, now time.Time) State {
	switch {
	case s.Ended():
		return begin(s, o, now)
	case o.Target != s.Target && !s.Undo && s.Phase != PhaseRollingBack:
		return supersede(s, o, now)
	}
	switch s.Phase {
	case PhasePending:
		return p.afterPending(s, o, now)
	case PhaseAwaitingApproval:
		return p.afterApproval(s, o, now)
	case PhaseMigrating:
		return p.afterMigration(s, o, now)
	case PhaseProgressing:
		return p.afterStep(s, o, now)
	case PhasePromoting:
		return p.afterWave(s, o, now)
	case PhaseRollingBack:
		return p.afterRollback(s, o, now)
	default:
		return s
	}
}

// begin starts the rollout of the spec's revision, unless it serves or failed already.
func begin(s State, o Observation, now time.Time) State {
	if o.Target != s.Held {
		s.Held = ""
	}
	if o.Target == "" || o.Target == s.Current || o.Target == s.Held {
		return s
	}
	return s.start(o.Target, now)
}

// asked remembers who asks for the target: whoever changes the spec in between, be
// it a number of pods, does not free those before them to approve it.
func (p Policy) asked(s State, o Observation) State {
	if p.FourEyes && !s.Ended() && o.Target == s.Target && o.Requester != "" && !slices.Contains(s.Requesters, o.Requester) {
		s.Requesters = append(slices.Clone(s.Requesters), o.Requester)
	}
	return s
}

// start is the state at the beginning of a rollout.
func (s State) start(target string, now time.Time) State {
	if target != s.Target {
		s.Requesters = nil
	}
	s.Target, s.Wave, s.Step, s.Undo, s.SkipSteps = target, 0, 0, false, false
	s.StartedAt, s.FinishedAt, s.Measurements, s.Held = now, time.Time{}, nil, ""
	s.Approved, s.ApprovedBy = "", ""
	return s.enter(PhasePending, "", now)
}

// supersede leaves a revision that is no longer wanted. Three revisions never
// run at once, so a rollout that touched pods goes back first.
func supersede(s State, o Observation, now time.Time) State {
	switch {
	case s.touched() && !s.first():
		s = s.enter(PhaseRollingBack, "the spec changed: revision "+s.Target+" is left", now)
		s.Resume = PhaseIdle
		return s
	case o.Target == s.Current || o.Target == "":
		return s.enter(PhaseIdle, "", now)
	default:
		return s.start(o.Target, now)
	}
}

// afterPending waits for rotations and windows. Going back to an older revision waits for nothing.
func (p Policy) afterPending(s State, o Observation, now time.Time) State {
	switch {
	case s.Undo:
	case o.RotationMovesPods:
		s.Message = "waits for the rotation of a secret"
		return s
	case !s.first() && !p.open(now):
		s.Message = "waits for a window"
		return s
	case p.Approval == GateBeforeStart && !s.first() && s.Approved != s.Target:
		return s.hold(PhaseAwaitingApproval, PhasePending, "revision "+s.Target+" waits for an approval before it starts", now)
	}
	return s.enter(PhaseMigrating, "", now)
}

// afterApproval waits for a person. A canary that waits is measured on.
func (p Policy) afterApproval(s State, o Observation, now time.Time) State {
	if s.Resume == PhasePromoting {
		s = p.take(s, o)
		if failed := p.failure(s, o); failed != "" {
			return p.fail(s, failed, now)
		}
	}
	by, why := p.approval(s, o, now)
	if by == "" {
		if why != "" {
			s.Message = why
		}
		return s
	}
	s.Approved, s.ApprovedBy = s.Target, by
	return s.enter(s.Resume, "approved by "+by, now)
}

// approval finds who agreed to the target, or why those who did do not count.
func (p Policy) approval(s State, o Observation, now time.Time) (by, why string) {
	for _, a := range o.Approvals {
		switch {
		case a.Revision != s.Target || a.By == "":
		case !a.ExpiresAt.IsZero() && !now.Before(a.ExpiresAt):
			why = "the approval by " + a.By + " expired"
		case p.FourEyes && o.Requester == "":
			why = "nobody vouches for who asked for the change, so no approval is known to be another person's"
		case p.FourEyes && (a.By == o.Requester || slices.Contains(s.Requesters, a.By)):
			why = a.By + " asked for the change and cannot approve it"
		default:
			return a.By, ""
		}
	}
	return "", why
}

// afterMigration waits until the revision is recorded and the schema is ready for it.
func (p Policy) afterMigration(s State, o Observation, now time.Time) State {
	m := o.Migration
	switch {
	case !slices.Contains(o.History, s.Target):
		return s
	case !p.Migrate || s.Undo:
	case m.Revision == s.Target && m.Failed:
		s.LastFailed, s.Held = s.Target, s.Target
		return s.enter(PhaseFailed, "the migration failed: "+m.Message, now)
	case p.waitsForBackup(s, o):
		s.Message = "waits for a backup before the migration"
		return s
	case m.Revision != s.Target || !m.Succeeded:
		return s
	}
	s.Wave, s.Step = 0, 0
	return p.enterWave(s, now)
}

func (p Policy) waitsForBackup(s State, o Observation) bool {
	migrated := o.Migration.Revision == s.Target && o.Migration.Succeeded
	return p.RequireBackup && !o.BackupFresh && !s.first() && !migrated
}

// enterWave begins a wave: with the first step of a canary, or by replacing it.
func (p Policy) enterWave(s State, now time.Time) State {
	if p.stepped(s) {
		s.Step = 0
		return s.enter(PhaseProgressing, "", now)
	}
	return p.promote(s, now)
}

// promote replaces the wave, after an approval where one is due.
func (p Policy) promote(s State, now time.Time) State {
	if p.Approval == GateBeforePromote && !s.first() && !s.Undo && s.Approved != s.Target {
		return s.hold(PhaseAwaitingApproval, PhasePromoting, "revision "+s.Target+" waits for an approval before it is promoted", now)
	}
	return s.enter(PhasePromoting, "", now)
}

// afterWave waits until the wave runs the target alone.
func (p Policy) afterWave(s State, o Observation, now time.Time) State {
	if failed := broken(s, o); failed != "" {
		return p.fail(s, failed, now)
	}
	if s.Wave < len(o.Waves) {
		wave := o.Waves[s.Wave]
		if wave.Stable != s.Target || !wave.Available || !wave.CanaryGone {
			return p.late(s, now)
		}
	}
	if s.Wave+1 < p.Waves {
		s.Wave++
		return p.enterWave(s, now)
	}
	s.Previous, s.Current = s.Current, s.Target
	if s.Held == s.Target {
		s.Held = ""
	}
	if s.LastFailed == s.Target {
		s.LastFailed = ""
	}
	return s.enter(PhaseComplete, "revision "+s.Target+" serves", now)
}

// late fails a phase that takes longer than the deadline.
func (p Policy) late(s State, now time.Time) State {
	if now.Sub(s.Since) <= p.ProgressDeadline {
		return s
	}
	return p.fail(s, "pods are not available after "+p.ProgressDeadline.String(), now)
}

// broken is why pods of the waves that were touched will not become available.
func broken(s State, o Observation) string {
	for i := range min(s.Wave+1, len(o.Waves)) {
		if o.Waves[i].Failed != "" {
			return o.Waves[i].Failed
		}
	}
	return ""
}

// fail ends a rollout that touched pods, or lets it wait for a person. The first
// revision of a stack has nothing to go back to and goes on trying.
func (p Policy) fail(s State, why string, now time.Time) State {
	if s.first() {
		s.Message = why
		return s
	}
	s.LastFailed = s.Target
	if !s.Undo {
		s.Held = s.Target
	}
	if p.PauseOnFailure {
		resume := s.Phase
		if resume == PhaseAwaitingApproval {
			resume = PhaseProgressing
		}
		return s.hold(PhasePaused, resume, why, now)
	}
	return s.rollBack(why, now)
}

func (s State) rollBack(why string, now time.Time) State {
	s = s.enter(PhaseRollingBack, why, now)
	s.Resume = PhaseRolledBack
	return s
}

// afterRollback waits until every wave runs the old revision alone.
func (p Policy) afterRollback(s State, o Observation, now time.Time) State {
	for _, wave := range o.Waves {
		if wave.Stable != s.Current || !wave.Available || !wave.CanaryGone {
			return s
		}
	}
	return s.enter(s.Resume, s.Message, now)
}

// effects is what is to be done in the state's phase.
func (p Policy) effects(s State, o Observation, now time.Time) []Effect {
	switch {
	case s.Phase == PhaseMigrating && !slices.Contains(o.History, s.Target):
		return []Effect{{Kind: EffectRecord, Revision: s.Target}}
	case s.Phase == PhaseMigrating:
		if !p.Migrate || s.Undo || p.waitsForBackup(s, o) {
			return nil
		}
		return []Effect{{Kind: EffectMigrate, Revision: s.Target}}
	case s.Ended() || !s.touched():
		return nil
	}
	effects := []Effect{{Kind: EffectAssign, Revision: s.Target, Assignments: s.Assignments(p)}}
	if s.Phase == PhaseProgressing || s.Phase == PhaseAwaitingApproval {
		effects = append(effects, p.measure(s, now)...)
	}
	return effects
}
