package rollout

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// at is a state in a phase of the rollout from a to b.
func at(phase Phase) State {
	return State{Phase: phase, Current: "a", Target: "b", Since: start, StartedAt: start}
}

// seen is what is found while b is wanted and a runs in two waves.
func seen() Observation {
	calm := Wave{Stable: "a", Available: true, CanaryGone: true}
	return Observation{Target: "b", Waves: []Wave{calm, calm}, History: []string{"a", "b"}, Migration: Migration{Revision: "b", Succeeded: true}}
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	later := start.Add(time.Hour)
	canary := Wave{Stable: "a", Available: true, Canary: "b", CanaryAvailable: true, CanaryWeight: 5, CanaryPods: 1}
	tests := []struct {
		name   string
		state  State
		change func(*State, *Observation, *Policy)
		now    time.Time
		want   Phase
		says   string
	}{
		{"nothing is wanted", State{}, func(_ *State, o *Observation, _ *Policy) { o.Target = "" }, start, "", ""},
		{"the spec serves already", State{Phase: PhaseComplete, Current: "b"}, nil, start, PhaseComplete, ""},
		{"a change begins", State{Phase: PhaseComplete, Current: "a"}, nil, start, PhasePending, ""},
		{"a failed revision is held", State{Phase: PhaseRolledBack, Current: "a", Held: "b"}, nil, start, PhaseRolledBack, ""},
		{"another spec is tried", State{Phase: PhaseRolledBack, Current: "a", Held: "x"}, nil, start, PhasePending, ""},
		{"a rotation goes first", at(PhasePending), func(_ *State, o *Observation, _ *Policy) { o.RotationMovesPods = true }, start, PhasePending, "rotation"},
		{"an undo waits for no rotation", at(PhasePending), func(s *State, o *Observation, _ *Policy) { s.Undo, o.RotationMovesPods = true, true }, start, PhaseMigrating, ""},
		{"a window is closed", at(PhasePending), func(_ *State, _ *Observation, p *Policy) {
			p.Windows = []Window{{From: 2 * time.Hour, Until: 4 * time.Hour}}
		}, start, PhasePending, "window"},
		{"an approval is due", at(PhasePending), func(_ *State, _ *Observation, p *Policy) { p.Approval = GateBeforeStart }, start, PhaseAwaitingApproval, "approval"},
		{"the first needs none", State{Phase: PhasePending, Target: "b"}, func(_ *State, _ *Observation, p *Policy) { p.Approval = GateBeforeStart }, start, PhaseMigrating, ""},
		{"the revision is not recorded", at(PhaseMigrating), func(_ *State, o *Observation, _ *Policy) { o.History = nil }, start, PhaseMigrating, ""},
		{"the migration runs", at(PhaseMigrating), func(_ *State, o *Observation, _ *Policy) { o.Migration.Succeeded = false }, start, PhaseMigrating, ""},
		{"another migration succeeded", at(PhaseMigrating), func(_ *State, o *Observation, _ *Policy) { o.Migration.Revision = "x" }, start, PhaseMigrating, ""},
		{"the migration fails", at(PhaseMigrating), func(_ *State, o *Observation, _ *Policy) {
			o.Migration = Migration{Revision: "b", Failed: true, Message: "column exists"}
		}, start, PhaseFailed, "column exists"},
		{"a backup is missing", at(PhaseMigrating), func(_ *State, o *Observation, p *Policy) {
			p.RequireBackup, o.Migration.Succeeded = true, false
		}, start, PhaseMigrating, "backup"},
		{"the first step", at(PhaseMigrating), nil, start, PhaseProgressing, ""},
		{"no steps", at(PhaseMigrating), func(_ *State, _ *Observation, p *Policy) { p.Strategy = StrategyRollingUpdate }, start, PhasePromoting, ""},
		{"an image is not there", at(PhaseProgressing), func(_ *State, o *Observation, _ *Policy) { o.Waves[0].Failed = "ImagePullBackOff" }, start, PhaseRollingBack, "ImagePullBackOff"},
		{"a person decides about failures", at(PhaseProgressing), func(_ *State, o *Observation, p *Policy) {
			p.PauseOnFailure = true
			o.Waves[0].Failed = "ImagePullBackOff"
		}, start, PhasePaused, "ImagePullBackOff"},
		{"a canary is late", at(PhaseProgressing), nil, later, PhaseRollingBack, "10m"},
		{"a step ends", at(PhaseProgressing), func(s *State, o *Observation, p *Policy) {
			s.EffectiveSince, o.Waves[0], p.Analysis = start, canary, nil
		}, later, PhaseProgressing, ""},
		{"the last step ends", at(PhaseProgressing), func(s *State, o *Observation, p *Policy) {
			s.EffectiveSince, s.Step, o.Waves[0], p.Analysis = start, 2, canary, nil
		}, later, PhasePromoting, ""},
		{"promotion waits for a person", at(PhaseProgressing), func(s *State, o *Observation, p *Policy) {
			s.EffectiveSince, s.Step, o.Waves[0], p.Analysis, p.Approval = start, 2, canary, nil, GateBeforePromote
		}, later, PhaseAwaitingApproval, "promoted"},
		{"a step without an end", at(PhaseProgressing), func(s *State, o *Observation, p *Policy) {
			s.EffectiveSince, o.Waves[0], p.Analysis, p.Steps = start, canary, nil, []Step{{Weight: 5}}
		}, later, PhasePaused, "waits for a person"},
		{"measurements do not come", at(PhaseProgressing), func(s *State, o *Observation, _ *Policy) { s.EffectiveSince, o.Waves[0] = start, canary }, later, PhasePaused, "do not arrive"},
		{"a wave is late", at(PhasePromoting), nil, later, PhaseRollingBack, "10m"},
		{"a wave is replaced", at(PhasePromoting), func(_ *State, o *Observation, _ *Policy) { o.Waves[0].Stable = "b" }, start, PhaseProgressing, ""},
		{"the last wave is replaced", at(PhasePromoting), func(s *State, o *Observation, _ *Policy) { s.Wave, o.Waves[1].Stable = 1, "b" }, start, PhaseComplete, "serves"},
		{"a wave below breaks", at(PhasePromoting), func(s *State, o *Observation, _ *Policy) { s.Wave, o.Waves[0].Failed = 1, "CrashLoopBackOff" }, start, PhaseRollingBack, "CrashLoop"},
		{"the spec changes in a canary", at(PhaseProgressing), func(_ *State, o *Observation, _ *Policy) { o.Target = "c" }, start, PhaseRollingBack, "spec changed"},
		{"the spec changes before", at(PhaseMigrating), func(_ *State, o *Observation, _ *Policy) { o.Target = "c" }, start, PhasePending, ""},
		{"the spec returns", at(PhasePending), func(_ *State, o *Observation, _ *Policy) { o.Target = "a" }, start, PhaseIdle, ""},
		{"the way back ends", at(PhaseRollingBack), func(s *State, _ *Observation, _ *Policy) { s.Resume = PhaseRolledBack }, start, PhaseRolledBack, ""},
		{"the way back goes on", at(PhaseRollingBack), func(_ *State, o *Observation, _ *Policy) { o.Waves[1].CanaryGone = false }, start, PhaseRollingBack, ""},
		{"the first goes on trying", State{Phase: PhasePromoting, Target: "b", Since: start}, nil, later, PhasePromoting, "10m"},
		{"the operator is paused", at(PhaseRollingBack), func(_ *State, o *Observation, _ *Policy) { o.Paused = true }, start, PhaseRollingBack, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, o, p := test.state, seen(), testPolicy(2)
			if test.change != nil {
				test.change(&s, &o, &p)
			}
			got, _ := p.Next(s, o, test.now)
			if got.Phase != test.want || !strings.Contains(got.Message, test.says) {
				t.Errorf("got %s %q, want %s with %q", got.Phase, got.Message, test.want, test.says)
			}
		})
	}
}

func TestApprovals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		approvals []Approval
		requester string
		want      string
		says      string
	}{
		{"none", nil, "alice", "", ""},
		{"another person's", []Approval{{Revision: "b", By: "bob"}}, "alice", "bob", ""},
		{"one's own", []Approval{{Revision: "b", By: "alice"}}, "alice", "", "cannot approve"},
		{"of another revision", []Approval{{Revision: "a", By: "bob"}}, "alice", "", ""},
		{"expired", []Approval{{Revision: "b", By: "bob", ExpiresAt: start}}, "alice", "", "expired"},
		{"not expired", []Approval{{Revision: "b", By: "bob", ExpiresAt: start.Add(time.Second)}}, "alice", "bob", ""},
		{"by nobody", []Approval{{Revision: "b"}}, "alice", "", ""},
		{"of an unknown change", []Approval{{Revision: "b", By: "bob"}}, "", "", "nobody vouches"},
		{"several", []Approval{{Revision: "b", By: "alice"}, {Revision: "b", By: "bob"}}, "alice", "bob", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := testPolicy(2)
			p.Approval, p.FourEyes = GateBeforeStart, true
			o := seen()
			o.Approvals, o.Requester = test.approvals, test.requester
			s, _ := p.Next(State{Phase: PhaseAwaitingApproval, Resume: PhasePending, Current: "a", Target: "b"}, o, start)
			if s.ApprovedBy != test.want || (s.Phase == PhasePending) != (test.want != "") || !strings.Contains(s.Message, test.says) {
				t.Errorf("approved by %q in %s: %q", s.ApprovedBy, s.Phase, s.Message)
			}
		})
	}
}

// A second person who changes something else meanwhile does not free the first.
func TestWhoAskedOnceDoesNotApprove(t *testing.T) {
	t.Parallel()
	p := testPolicy(2)
	p.Approval, p.FourEyes = GateBeforeStart, true
	o := seen()
	o.Target, o.Requester = "b", "alice"
	s := State{Phase: PhaseComplete, Current: "a", Target: "a", Requesters: []string{"carol"}}
	for range 3 {
		s, _ = p.Next(s, o, start)
	}
	if s.Phase != PhaseAwaitingApproval || !slices.Equal(s.Requesters, []string{"alice"}) {
		t.Fatalf("%s, asked for by %v", s.Phase, s.Requesters)
	}
	o.Requester, o.Approvals = "bob", []Approval{{Revision: "b", By: "alice"}, {Revision: "b", By: "bob"}}
	for range 2 {
		if s, _ = p.Next(s, o, start); s.Phase != PhaseAwaitingApproval || !strings.Contains(s.Message, "cannot approve") {
			t.Fatalf("approved by %q in %s: %s", s.ApprovedBy, s.Phase, s.Message)
		}
	}
	o.Approvals = append(o.Approvals, Approval{Revision: "b", By: "carol"})
	if s, _ = p.Next(s, o, start); s.ApprovedBy != "carol" {
		t.Errorf("approved by %q in %s: %s", s.ApprovedBy, s.Phase, s.Message)
	}
}

func TestAnApprovalIsNotKeptForTheNextTry(t *testing.T) {
	t.Parallel()
	s := State{Phase: PhaseRolledBack, Current: "a", Approved: "b", ApprovedBy: "bob"}
	if s, _ = testPolicy(1).Next(s, seen(), start); s.Phase != PhasePending || s.Approved != "" {
		t.Errorf("%s with an approval of %q", s.Phase, s.Approved)
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		state   State
		request Request
		want    Phase
		says    string
	}{
		{"pause", at(PhaseProgressing), Request{Verb: VerbPause, Revision: "b"}, PhasePaused, "paused"},
		{"pause of the way back", at(PhaseRollingBack), Request{Verb: VerbPause, Revision: "b"}, PhaseRollingBack, ""},
		{"resume", State{Phase: PhasePaused, Resume: PhasePromoting, Current: "a", Target: "b"}, Request{Verb: VerbResume, Revision: "b"}, PhasePromoting, ""},
		{"resume of a step", State{Phase: PhasePaused, Resume: PhaseProgressing, StepDone: true, Current: "a", Target: "b"}, Request{Verb: VerbResume, Revision: "b"}, PhaseProgressing, ""},
		{"resume of a failed revision", State{Phase: PhaseFailed, Current: "a", Target: "b", Held: "b"}, Request{Verb: VerbResume, Revision: "b"}, PhaseFailed, ""},
		{"abort of a canary", at(PhaseProgressing), Request{Verb: VerbAbort, Revision: "b"}, PhaseRollingBack, "aborted"},
		{"abort before pods", at(PhaseMigrating), Request{Verb: VerbAbort, Revision: "b"}, PhaseFailed, "aborted"},
		{"abort of the first", State{Phase: PhasePromoting, Target: "b"}, Request{Verb: VerbAbort, Revision: "b"}, PhasePromoting, "nothing to go back"},
		{"abort of another revision", at(PhaseProgressing), Request{Verb: VerbAbort, Revision: "x"}, PhaseProgressing, "about revision x"},
		{"abort of nothing", State{Phase: PhaseComplete, Current: "b", Target: "b"}, Request{Verb: VerbAbort, Revision: "b"}, PhaseComplete, "no rollout"},
		{"promote", at(PhaseProgressing), Request{Verb: VerbPromote, Revision: "b"}, PhasePromoting, ""},
		{"promote without an approval", at(PhaseAwaitingApproval), Request{Verb: VerbPromote, Revision: "b"}, PhaseAwaitingApproval, "nothing is left to skip"},
		{"undo", State{Phase: PhaseComplete, Current: "b", Previous: "a", Target: "b"}, Request{Verb: VerbUndo}, PhasePending, ""},
		{"undo of a rollout", at(PhaseProgressing), Request{Verb: VerbUndo}, PhaseRollingBack, "aborted"},
		{"undo of a rollout to another", at(PhaseProgressing), Request{Verb: VerbUndo, Revision: "x"}, PhaseProgressing, "abort the running"},
		{"undo to the unknown", State{Phase: PhaseComplete, Current: "b"}, Request{Verb: VerbUndo, Revision: "x"}, PhaseComplete, "history"},
		{"undo of the first", State{Phase: PhaseComplete, Current: "b"}, Request{Verb: VerbUndo}, PhaseComplete, "no revision to return to"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, o := testPolicy(2), seen()
			o.Request = test.request
			o.Request.ID = "1"
			got, _ := p.Next(test.state, o, start)
			if got.Phase != test.want || got.Request != "1" || !strings.Contains(got.Message, test.says) {
				t.Errorf("got %s %q, want %s with %q", got.Phase, got.Message, test.want, test.says)
			}
		})
	}
}

// TestUndoHoldsTheSpec: what was left must not come back by itself.
func TestUndoHoldsTheSpec(t *testing.T) {
	t.Parallel()
	p, o := testPolicy(2), seen()
	o.Request = Request{Verb: VerbUndo, ID: "1"}
	s, _ := p.Next(State{Phase: PhaseComplete, Current: "b", Previous: "a", Target: "b"}, o, start)
	for range 20 {
		s, _ = p.Next(s, o, start)
	}
	if s.Phase != PhaseComplete || s.Current != "a" || s.Previous != "b" || s.LastFailed != "b" || s.Held != "b" {
		t.Errorf("after an undo: %+v", s)
	}
	o.Target = "c"
	if s, _ = p.Next(s, o, start); s.Phase != PhasePending || s.Target != "c" {
		t.Errorf("a changed spec gives %s of %s", s.Phase, s.Target)
	}
}

func TestMeasurements(t *testing.T) {
	t.Parallel()
	p := testPolicy(1)
	m := func(value, second float64) Measurement {
		return Measurement{Name: "error-rate", Value: &value, At: start.Add(time.Duration(second) * time.Second)}
	}
	none := func(second int) Measurement {
		return Measurement{Name: "error-rate", At: start.Add(time.Duration(second) * time.Second)}
	}
	tests := []struct {
		name     string
		onNoData OnNoData
		limit    int
		values   []Measurement
		want     Phase
	}{
		{"good", NoDataPause, 0, []Measurement{m(0, 1), m(0, 2)}, PhaseProgressing},
		{"bad", NoDataPause, 0, []Measurement{m(0, 1), m(1, 2)}, PhaseRollingBack},
		{"forgiven", NoDataPause, 1, []Measurement{m(0, 1), m(1, 2), m(0, 3)}, PhaseProgressing},
		{"not forgiven twice", NoDataPause, 1, []Measurement{m(1, 1), m(1, 2)}, PhaseRollingBack},
		{"the same again", NoDataPause, 1, []Measurement{m(1, 1), m(1, 1)}, PhaseProgressing},
		{"before the canary", NoDataPause, 0, []Measurement{m(1, -1)}, PhaseProgressing},
		{"blind", NoDataPause, 0, []Measurement{none(1), none(2)}, PhasePaused},
		{"blind is bad", NoDataFail, 0, []Measurement{none(1)}, PhaseRollingBack},
		{"blind is good", NoDataPass, 0, []Measurement{none(1), none(2)}, PhaseProgressing},
		{"a division by nothing", NoDataFail, 0, []Measurement{m(math.NaN(), 1)}, PhaseRollingBack},
		{"between", NoDataPause, 0, []Measurement{m(0.03, 1), m(0.03, 2)}, PhasePaused},
		{"another measure", NoDataPause, 0, []Measurement{{Name: "x", At: start}}, PhaseProgressing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			policy := p
			policy.Analysis = slices.Clone(p.Analysis)
			policy.Analysis[0].OnNoData, policy.Analysis[0].FailureLimit = test.onNoData, test.limit
			s, o := at(PhaseProgressing), seen()
			s.EffectiveSince, o.Measurements = start, test.values
			got, _ := policy.Next(s, o, start.Add(10*time.Second))
			if got.Phase != test.want {
				t.Errorf("got %s %q, want %s", got.Phase, got.Message, test.want)
			}
			again, _ := policy.Next(s, o, start.Add(10*time.Second))
			if len(s.Tallies) > 0 || len(s.Measurements) > 0 || again.Phase != got.Phase {
				t.Error("counting changed the old state")
			}
		})
	}
}

func TestOneBound(t *testing.T) {
	t.Parallel()
	below, above := Analysis{SuccessBelow: ptr(1)}, Analysis{FailAbove: ptr(1)}
	for value, want := range map[float64][2]Verdict{0: {VerdictPass, VerdictPass}, 1: {VerdictFail, VerdictPass}, 2: {VerdictFail, VerdictFail}} {
		if got := [2]Verdict{below.judge(&value), above.judge(&value)}; got != want {
			t.Errorf("%v is judged %v, want %v", value, got, want)
		}
	}
}

func TestWindows(t *testing.T) {
	t.Parallel()
	night := Window{Days: []time.Weekday{time.Saturday}, From: 22 * time.Hour, Until: 4 * time.Hour}
	day := func(d, hour int) time.Time { return time.Date(2026, time.March, d, hour, 0, 0, 0, time.UTC) }
	for at, want := range map[time.Time]bool{
		day(7, 21): false, day(7, 22): true, day(8, 3): true, day(8, 4): false, day(8, 22): false, // the 7th is a Saturday
	} {
		if night.Open(at) != want {
			t.Errorf("%s is open %t", at, !want)
		}
	}
	p := Policy{Windows: []Window{night}}
	if got := p.Wake(State{Phase: PhasePending}, day(2, 12)); !got.Equal(day(7, 22)) {
		t.Errorf("wakes at %s", got)
	}
}

func TestAssignments(t *testing.T) {
	t.Parallel()
	p := testPolicy(3)
	s := at(PhaseProgressing)
	s.Wave, s.Step = 1, 1
	want := []Assignment{
		{Wave: 0, Stable: "b", FreezeScaleDown: true},
		{Wave: 1, Stable: "a", Canary: "b", Weight: 25, FreezeScaleDown: true},
		{Wave: 2, Stable: "a", FreezeScaleDown: true},
	}
	if got := s.Assignments(p); !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	for _, phase := range []Phase{"", PhaseIdle, PhasePending, PhaseMigrating, PhaseRollingBack, PhaseRolledBack, PhaseFailed} {
		s.Phase = phase
		for _, a := range s.Assignments(p) {
			if a.Stable != "a" || a.Canary != "" {
				t.Errorf("in %s: %+v", phase, a)
			}
		}
	}
}
