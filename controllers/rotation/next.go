package rotation

import (
	"slices"
	"time"
)

// begin is the state at the start of a rotation.
func (s State) begin(o Observation, now time.Time) State {
	if s.Kind == KindWebhook {
		s.Next = o.Offered
	} else {
		s.Serial++
		s.Next = s.id(s.Serial)
	}
	s.NextSince, s.StartedAt = time.Time{}, now
	return s.enter(program(s.Kind)[0].stage, now)
}

// Next moves one secret on by at most one stage and returns what is to be done
// in the stage that it is in then. At the same stage with the same observation
// it returns the same, so it may be repeated after a crash; it is called again
// when the state changed, when something that it observes changed, and at Wake.
func (p Policy) Next(s State, o Observation, now time.Time) (State, []Effect) {
	if s.Idle() {
		return s, nil
	}
	s = p.move(s, o, now)
	return s, p.effects(s, o, now)
}

// move is the transition, if there is one.
func (p Policy) move(s State, o Observation, now time.Time) State {
	switch s.Stage {
	case StageReverting:
		if o.Deployed == s.Content() {
			return s.undo(now)
		}
		return s
	case StageDiscarding:
		return p.discard(s, o, now)
	case StageForgetting:
		if !slices.Contains(o.Vault, s.Next) {
			return s.giveUp(now)
		}
		return s
	default:
	}
	step, found := current(s)
	switch {
	case !found:
		// A stage of another version of the operator: nothing is known about it, nothing is done.
		s.LastError = "stage " + string(s.Stage) + " is unknown to this operator"
		return s
	case o.RolloutWaits && !s.published():
		return s.undo(now)
	case step.job != "":
		return p.afterJob(s, step, o, now)
	case step.publish != nil:
		return p.afterPublish(s, o, now)
	case !p.done(s, step, o, now):
		return s
	default:
		return s.advance(o, now)
	}
}

// done reports whether a step of the vault or of time ended.
func (p Policy) done(s State, step step, o Observation, now time.Time) bool {
	if s.published() && o.Deployed != s.Content() {
		return false
	}
	switch {
	case step.wait != nil:
		return s.superseded(o) || !now.Before(s.StageSince.Add(step.wait(p)))
	case step.vault == EffectErase || step.vault == EffectArchive:
		return !slices.Contains(o.Vault, s.Active)
	default:
		return slices.Contains(o.Vault, s.Next)
	}
}

// superseded reports whether others made yet another version, such as the right
// one after a wrong one: nobody waits a day for that.
func (s State) superseded(o Observation) bool {
	return s.Kind == KindWebhook && o.Offered != "" && o.Offered != s.Next
}

// afterPublish waits for consumers; a first publish that does not get through is taken back.
func (p Policy) afterPublish(s State, o Observation, now time.Time) State {
	switch late := now.Sub(s.StageSince) > p.ProgressDeadline; {
	case o.Deployed == s.Content():
		if s.Stage == StagePromoting {
			s.NextSince = now
		}
		return s.advance(o, now)
	case late && firstPublish(s):
		s.LastError = "the consumers did not become ready with version " + string(s.Next) + ": taken back"
		s.Failures++
		return s.enter(StageReverting, now)
	case late:
		s.LastError = "the consumers do not become ready in stage " + string(s.Stage)
	}
	return s
}

// afterJob waits for the Job of a step and counts failed attempts.
func (p Policy) afterJob(s State, step step, o Observation, now time.Time) State {
	version := s.Next
	if step.job == VerbRetireLogin {
		version = s.Active
	}
	job := o.Jobs[s.job(step.job, version).ID]
	switch {
	case s.published() && o.Deployed != s.Content():
		// An old consumer came back: whatever a Job said is not about it.
		return s
	case job.Phase == JobSucceeded:
		return s.advance(o, now)
	case job.Phase == JobFailed:
		s = s.failed(job, now)
		if !s.published() && s.Attempt >= p.Attempts {
			s.Failures++
			return s.undo(now)
		}
	}
	return s
}

// failed is the state after a failed Job: another attempt, later.
func (s State) failed(job JobObservation, now time.Time) State {
	s.Attempt++
	s.LastError = job.Message
	if s.LastError == "" {
		s.LastError = "the Job failed"
	}
	s.RetryAt = now.Add(backoff(s.Attempt, retryFirst, retryMost))
	return s
}

// advance enters the next stage, or ends the rotation.
func (s State) advance(o Observation, now time.Time) State {
	step, found := following(s)
	switch {
	case !found:
		s.Active, s.ActiveSince, s.Next = s.Next, s.NextSince, ""
		s.LastError, s.Failures, s.NextSince, s.StartedAt = "", 0, time.Time{}, time.Time{}
		return s.enter(StageCurrent, now)
	case step.publish != nil && o.Rollout:
		return s
	default:
		return s.enter(step.stage, now)
	}
}

// undo takes back what was done before any consumer had the new version, or
// after none has it any more.
func (s State) undo(now time.Time) State {
	switch s.Kind {
	case KindLogin, KindCacheLogin:
		return s.enter(StageDiscarding, now)
	case KindSigningKeys:
		return s.giveUp(now)
	default:
		return s.enter(StageForgetting, now)
	}
}

// discard waits until the idle role has no password. A role that cannot be
// reached is left: nobody knows its password once the vault forgot it, and the
// next rotation sets another one.
func (p Policy) discard(s State, o Observation, now time.Time) State {
	job := o.Jobs[s.job(VerbRetireLogin, s.Next).ID]
	switch job.Phase {
	case JobSucceeded:
		return s.enter(StageForgetting, now)
	case JobFailed:
		s = s.failed(job, now)
		if s.Attempt >= p.Attempts {
			return s.enter(StageForgetting, now)
		}
	case JobAbsent, JobRunning:
	}
	return s
}

// giveUp ends a rotation that left everything as it was.
func (s State) giveUp(now time.Time) State {
	s.Next, s.NextSince, s.StartedAt = "", time.Time{}, time.Time{}
	s = s.enter(StageCurrent, now)
	if s.Failures > 0 {
		s.RetryAt = now.Add(backoff(s.Failures, giveUpFirst, giveUpMost))
	}
	return s
}

// effects is what is to be done in the state's stage.
func (p Policy) effects(s State, o Observation, now time.Time) []Effect {
	waiting := now.Before(s.RetryAt)
	switch s.Stage {
	case StageReverting:
		return []Effect{s.publish()}
	case StageDiscarding:
		if waiting {
			return nil
		}
		// The Job that gives the password must not end after the one that takes it.
		effects := p.stopSetLogin(s, o)
		if len(effects) > 0 {
			return effects
		}
		return []Effect{{Kind: EffectRunJob, Secret: s.Secret, Job: s.job(VerbRetireLogin, s.Next)}}
	case StageForgetting:
		return []Effect{{Kind: EffectErase, Secret: s.Secret, Version: s.Next}}
	default:
	}
	step, found := current(s)
	switch {
	case !found:
		return nil
	case step.publish != nil:
		return []Effect{s.publish()}
	case s.published() && o.Deployed != s.Content():
		return []Effect{s.publish()}
	case step.job == VerbRetireLogin:
		if waiting {
			return nil
		}
		return []Effect{{Kind: EffectRunJob, Secret: s.Secret, Job: s.job(step.job, s.Active)}}
	case step.job != "":
		if waiting {
			return nil
		}
		return []Effect{{Kind: EffectRunJob, Secret: s.Secret, Job: s.job(step.job, s.Next)}}
	case step.vault == EffectErase || step.vault == EffectArchive:
		return []Effect{{Kind: step.vault, Secret: s.Secret, Version: s.Active}}
	case step.vault != "":
		return []Effect{{Kind: step.vault, Secret: s.Secret, Version: s.Next}}
	default:
		return nil
	}
}

func (s State) publish() Effect {
	return Effect{Kind: EffectPublish, Secret: s.Secret, Content: s.Content()}
}

// stopSetLogin stops every Job that may still give the idle role its password.
func (p Policy) stopSetLogin(s State, o Observation) []Effect {
	var effects []Effect
	for s.Attempt = 0; s.Attempt < p.Attempts; s.Attempt++ {
		job := s.job(VerbSetLogin, s.Next)
		if o.Jobs[job.ID].Phase == JobRunning {
			effects = append(effects, Effect{Kind: EffectStopJob, Secret: s.Secret, Job: job})
		}
	}
	return effects
}

// Wake is when the state may change without anything being observed; zero for never.
func (p Policy) Wake(s State, now time.Time) time.Time {
	var at time.Time
	step, found := current(s)
	switch {
	case s.Idle():
	case s.RetryAt.After(now):
		at = s.RetryAt
	case found && step.wait != nil:
		at = s.StageSince.Add(step.wait(p))
	case s.MovesPods():
		at = s.StageSince.Add(p.ProgressDeadline + time.Second)
	}
	if !at.After(now) {
		return time.Time{}
	}
	return at
}
