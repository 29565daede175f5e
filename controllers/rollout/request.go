package rollout

import (
	"slices"
	"time"
)

// answer carries out a person's request, or says why it makes no sense now.
// Either way it is answered once.
func (p Policy) answer(s State, o Observation, now time.Time) State {
	s.Request = o.Request.ID
	request := o.Request
	switch {
	case request.Verb == VerbUndo:
		return p.answerUndo(s, o, now)
	case s.Ended() && request.Verb == VerbResume && s.Held != "" && request.Revision == s.Held:
		// A person wants the failed revision to be tried again.
		s.Held = ""
		return s
	case s.Ended():
		s.Message = "no rollout runs that could " + string(request.Verb)
		return s
	case request.Revision != s.Target:
		s.Message = "the request to " + string(request.Verb) + " was about revision " + request.Revision + ", not this one"
		return s
	}
	switch request.Verb {
	case VerbPause:
		if s.Phase == PhasePaused || s.Phase == PhaseAwaitingApproval || s.Phase == PhaseRollingBack {
			return s
		}
		return s.hold(PhasePaused, s.Phase, "paused by a person", now)
	case VerbResume:
		return p.resume(s, now)
	case VerbAbort:
		return p.abort(s, now)
	case VerbPromote:
		return p.skip(s, now)
	case VerbUndo:
	}
	return s
}

func (p Policy) resume(s State, now time.Time) State {
	switch {
	case s.Phase != PhasePaused:
		return s
	case s.StepDone:
		s.StepDone = false
		return p.nextStep(s, now)
	default:
		return s.enter(s.Resume, "", now)
	}
}

// abort goes back, or ends what has not begun.
func (p Policy) abort(s State, now time.Time) State {
	switch {
	case s.Phase == PhaseRollingBack:
		return s
	case s.first() && s.touched():
		s.Message = "the first revision has nothing to go back to: change the spec"
		return s
	}
	s.LastFailed = s.Target
	if !s.Undo {
		s.Held = s.Target
	}
	if s.touched() {
		return s.rollBack("aborted by a person", now)
	}
	return s.enter(PhaseFailed, "aborted by a person", now)
}

// skip leaves out what is left of the canary, not the approval.
func (p Policy) skip(s State, now time.Time) State {
	at := s.Phase
	if at == PhasePaused {
		at = s.Resume
	}
	switch at {
	case PhaseProgressing:
		s.SkipSteps, s.StepDone = true, false
		return p.promote(s, now)
	case PhasePromoting:
		s.SkipSteps = true
		if s.Phase == PhasePaused {
			return s.enter(PhasePromoting, "", now)
		}
	default:
		s.Message = "nothing is left to skip in phase " + string(s.Phase)
	}
	return s
}

// answerUndo leaves what serves for an older revision. While a rollout runs,
// going back to what serves is an abort.
func (p Policy) answerUndo(s State, o Observation, now time.Time) State {
	to := o.Request.Revision
	if !s.Ended() {
		if to == "" || to == s.Current {
			return p.abort(s, now)
		}
		s.Message = "abort the running rollout before you undo to revision " + to
		return s
	}
	if to == "" {
		to = s.Previous
	}
	switch {
	case to == "" || to == s.Current:
		s.Message = "there is no revision to return to"
		return s
	case !slices.Contains(o.History, to):
		s.Message = "revision " + to + " is not in the history any more"
		return s
	}
	left := s.Current
	s = s.start(to, now)
	s.Undo, s.LastFailed, s.Held = true, left, o.Target
	return s
}
