package rollout

import "time"

// afterStep waits until the canary has its share, was measured and had its time.
func (p Policy) afterStep(s State, o Observation, now time.Time) State {
	if failed := broken(s, o); failed != "" {
		return p.fail(s, failed, now)
	}
	if s.EffectiveSince.IsZero() {
		if p.effective(s, o) {
			s.EffectiveSince = now
			return s
		}
		return p.late(s, now)
	}
	s = p.take(s, o)
	failed, blind, passed := p.outcome(s)
	step := p.step(s)
	switch {
	case failed != "":
		return p.fail(s, failed, now)
	case blind != "":
		return s.hold(PhasePaused, PhaseProgressing, blind+": look at it, then resume, promote or abort", now)
	case !passed && now.Sub(s.EffectiveSince) > p.patience():
		return s.hold(PhasePaused, PhaseProgressing, "measurements do not arrive: look at it, then resume, promote or abort", now)
	case !passed:
		return s
	case step.Pause == 0:
		s = s.hold(PhasePaused, PhaseProgressing, "the step waits for a person: resume takes the next one, promote skips them all", now)
		s.StepDone = true
		return s
	case now.Before(s.EffectiveSince.Add(step.Pause)):
		return s
	default:
		return p.nextStep(s, now)
	}
}

// nextStep enters the step after, or promotes after the last.
func (p Policy) nextStep(s State, now time.Time) State {
	if s.Step+1 < len(p.Steps) {
		s.Step++
		return s.enter(PhaseProgressing, "", now)
	}
	return p.promote(s, now)
}

// failure is why a canary is to be taken back.
func (p Policy) failure(s State, o Observation) string {
	if failed := broken(s, o); failed != "" {
		return failed
	}
	failed, _, _ := p.outcome(s)
	return failed
}

// effective reports whether the canary has what the step gives it.
func (p Policy) effective(s State, o Observation) bool {
	if s.Wave >= len(o.Waves) {
		return false
	}
	wave, step := o.Waves[s.Wave], p.step(s)
	return wave.Canary == s.Target && wave.CanaryAvailable && wave.CanaryWeight == step.Weight && (step.Pods == 0 || wave.CanaryPods == step.Pods)
}

// patience is how long the measurements of a step may take.
func (p Policy) patience() time.Duration {
	longest := time.Duration(0)
	for _, a := range p.Analysis {
		longest = max(longest, time.Duration(a.Count+a.FailureLimit)*a.Interval)
	}
	return 2*longest + p.ProgressDeadline
}

// Wake is when the state may change without anything being observed; zero for never.
func (p Policy) Wake(s State, now time.Time) time.Time {
	var at time.Time
	earlier := func(t time.Time) {
		if t.After(now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	switch s.Phase {
	case PhasePending:
		if !p.open(now) {
			earlier(p.opens(now))
		}
	case PhasePromoting:
		earlier(s.Since.Add(p.ProgressDeadline + time.Second))
	case PhaseProgressing, PhaseAwaitingApproval:
		earlier(s.Since.Add(p.ProgressDeadline + time.Second))
		if s.EffectiveSince.IsZero() {
			break
		}
		earlier(s.EffectiveSince.Add(p.step(s).Pause))
		earlier(s.EffectiveSince.Add(p.patience() + time.Second))
		for _, a := range p.Analysis {
			last := s.Tallies[a.Name].Last
			if last.IsZero() {
				last = s.EffectiveSince
			}
			earlier(last.Add(a.Interval))
		}
	default:
	}
	return at
}
