package rollout

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

func ptr(f float64) *float64 { return &f }

func testPolicy(waves int) Policy {
	return Policy{
		Waves: waves, Strategy: StrategyCanary, Steps: DefaultSteps(), ProgressDeadline: 10 * time.Minute, Approval: GateNone, Migrate: true,
		Analysis: []Analysis{{Name: "error-rate", SuccessBelow: ptr(0.01), FailAbove: ptr(0.05), Interval: 30 * time.Second, Count: 2, OnNoData: NoDataPause}},
	}
}

// machine runs Next over a world and forgets things as a crash does.
type machine struct {
	policy   Policy
	state    State
	world    *world
	now      time.Time
	target   string
	serial   int
	request  Request
	rotation bool
	approved map[string]bool
	tried    map[string]int
}

func newMachine(policy Policy, pods int) *machine {
	return &machine{
		policy: policy, world: newWorld(policy.Waves, pods), now: start, approved: map[string]bool{}, tried: map[string]int{},
	}
}

// spec changes the spec to a new revision with that flaw.
func (m *machine) spec(f flaw) {
	m.serial++
	m.target = fmt.Sprintf("r%d", m.serial)
	m.world.flaws[m.target] = f
}

func (m *machine) observe() Observation {
	o := m.world.observe(m.target)
	o.Migration = Migration{Revision: m.state.Target, Succeeded: m.world.migrated[m.state.Target], Failed: m.world.failed[m.state.Target]}
	o.Request, o.RotationMovesPods, o.Requester, o.BackupFresh = m.request, m.rotation, "alice", true
	return o
}

// visit is one reconciliation that dies after keep things were done: 0 before
// the state was stored, 1 after, 2 after the first effect and so on.
func (m *machine) visit(keep int) {
	before := m.state
	next, effects := m.policy.Next(m.state, m.observe(), m.now)
	if keep == 0 {
		return
	}
	m.state = next
	if before.Ended() && !next.Ended() && !next.Undo {
		m.tried[next.Target]++
	}
	for i, e := range effects {
		if keep > i+1 {
			m.world.carryOut(e, m.now)
		}
	}
}

// alive never dies.
const alive = 1 << 30

func (m *machine) check() string {
	if m.state.Active() && m.rotation && m.state.Phase == PhaseMigrating && !m.state.Undo {
		return "a rollout began while a rotation moves pods"
	}
	for revision, n := range m.tried {
		if n > 1 {
			return fmt.Sprintf("%s was tried %d times", revision, n)
		}
	}
	if fault := m.world.check(m.state, m.policy, m.approved); fault != "" {
		return fmt.Sprintf("%s in %s of %s", fault, m.state.Phase, m.state.Target)
	}
	return ""
}

// TestAnyInterleavingIsSafeAndEnds lets reconciliations die at every point, the
// spec change, people interfere, pods move in any order and revisions be broken
// in every way, and then waits: the stack must end with one revision in every wave.
func TestAnyInterleavingIsSafeAndEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := testPolicy(rapid.IntRange(1, 3).Draw(t, "waves"))
		policy.Strategy = rapid.SampledFrom([]Strategy{StrategyCanary, StrategyRollingUpdate}).Draw(t, "strategy")
		if policy.Strategy == StrategyRollingUpdate {
			policy.Steps = nil
		}
		policy.Approval = rapid.SampledFrom([]Gate{GateNone, GateBeforeStart, GateBeforePromote}).Draw(t, "gate")
		policy.PauseOnFailure = rapid.Bool().Draw(t, "pauses")
		m := newMachine(policy, rapid.IntRange(1, 3).Draw(t, "pods"))
		m.spec(flawNone)
		m.calm(t)
		if m.state.Current != "r1" {
			t.Fatalf("the first revision does not serve: %+v", m.state)
		}
		// It needed no approval, and returning to it needs none either.
		m.approved["r1"] = true
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			m.disturb(t)
			if fault := m.check(); fault != "" {
				t.Fatal(fault)
			}
		}
		m.calm(t)
	})
}

func (m *machine) disturb(t *rapid.T) {
	actions := []string{"visit", "visit", "visit", "visit", "world", "world", "world", "clock", "clock", "spec", "request", "approve", "rotation", "blind"}
	switch rapid.SampledFrom(actions).Draw(t, "what") {
	case "visit":
		m.visit(rapid.SampledFrom([]int{0, 1, 2, alive, alive, alive}).Draw(t, "dies"))
	case "world":
		m.world.step(t)
	case "clock":
		m.now = m.now.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "seconds")) * time.Second)
	case "spec":
		if rapid.IntRange(0, 2).Draw(t, "really") == 0 {
			m.spec(rapid.SampledFrom([]flaw{flawNone, flawNone, flawImage, flawSlow, flawErrors, flawMigration}).Draw(t, "flaw"))
		}
	case "request":
		verb := rapid.SampledFrom([]Verb{VerbPause, VerbResume, VerbAbort, VerbPromote, VerbUndo}).Draw(t, "verb")
		m.request = Request{Verb: verb, Revision: m.state.Target, ID: rapid.StringMatching("[a-z]{3}").Draw(t, "id")}
		if verb == VerbUndo {
			m.request.Revision = ""
		}
		if verb == VerbResume && m.state.Ended() {
			m.request.Revision = "" // trying a failed revision again is tested apart
		}
	case "approve":
		m.approve()
	case "rotation":
		m.rotation = !m.state.Active() && rapid.Bool().Draw(t, "moves")
	case "blind":
		m.world.blind = rapid.Bool().Draw(t, "is blind")
	}
}

func (m *machine) approve() {
	m.world.approvals = append(m.world.approvals, Approval{Revision: m.target, By: "bob"})
	m.approved[m.target] = true
}

// calm lets everything work, and people do what they are asked for, until nothing changes any more.
func (m *machine) calm(t *rapid.T) {
	m.rotation, m.world.blind, m.request = false, false, Request{}
	for i := range 3000 {
		before := m.state
		m.visit(alive)
		m.world.step(t)
		m.now = m.now.Add(10 * time.Second)
		if fault := m.check(); fault != "" {
			t.Fatal(fault)
		}
		switch m.state.Phase {
		case PhaseAwaitingApproval:
			m.approve()
		case PhasePaused:
			verb := VerbResume
			if m.state.LastFailed == m.state.Target {
				verb = VerbAbort
			}
			m.request = Request{Verb: verb, Revision: m.state.Target, ID: fmt.Sprintf("calm%d", i)}
		default:
		}
		if m.state.Ended() && reflect.DeepEqual(before, m.state) && m.uniform() {
			return
		}
	}
	t.Fatalf("no rest: %+v, waves %+v %+v", m.state, m.world.observe(m.target).Waves, m.world.want)
}

// uniform reports whether every pod runs the revision that serves.
func (m *machine) uniform() bool {
	for _, wave := range m.world.waves {
		if !all(wave.stable, m.state.Current) || len(wave.canary) > 0 {
			return false
		}
	}
	return true
}

// TestEveryCrashPoint is the same without chance: a rollout of three waves
// whose reconciler dies once, at every visit and after every effect.
func TestEveryCrashPoint(t *testing.T) {
	t.Parallel()
	for _, f := range []flaw{flawNone, flawImage, flawSlow, flawErrors, flawMigration} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				m := newMachine(testPolicy(3), 2)
				m.spec(flawNone)
				m.calm(t)
				m.spec(f)
				for range rapid.IntRange(0, 120).Draw(t, "dies at") {
					m.visit(alive)
					m.world.step(t)
					m.now = m.now.Add(10 * time.Second)
				}
				m.visit(rapid.IntRange(0, 2).Draw(t, "after"))
				m.calm(t)
				want := map[bool]string{true: "r2", false: "r1"}[f == flawNone]
				if m.state.Current != want || (f != flawNone && (m.state.LastFailed != "r2" || m.state.Held != "r2")) {
					t.Fatalf("%q ends as %+v", f, m.state)
				}
			})
		})
	}
}
