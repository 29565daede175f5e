package rollout

import (
	"slices"
	"time"
)

// Strategy of a rollout.
type Strategy string

// The strategies.
const (
	// StrategyCanary takes each wave through the steps.
	StrategyCanary Strategy = "Canary"
	// StrategyRollingUpdate replaces each wave at once.
	StrategyRollingUpdate Strategy = "RollingUpdate"
)

// Gate says when a person must agree.
type Gate string

// The gates.
const (
	// GateNone demands no approval.
	GateNone Gate = "None"
	// GateBeforeStart demands one before the migration.
	GateBeforeStart Gate = "BeforeStart"
	// GateBeforePromote demands one before the first wave is replaced.
	GateBeforePromote Gate = "BeforePromote"
)

// Policy is the spec of rollouts, with every default filled in.
type Policy struct {
	// Waves is how many there are.
	Waves int
	// Strategy and its steps.
	Strategy Strategy
	Steps    []Step
	// Analysis of each step.
	Analysis []Analysis
	// ProgressDeadline of a step or wave.
	ProgressDeadline time.Duration
	// PauseOnFailure waits for a person instead of rolling back.
	PauseOnFailure bool
	// Approval says when a person must agree.
	Approval Gate
	// FourEyes demands that it is another person than the one who asked for the change.
	FourEyes bool
	// RequireBackup holds migrations until there is a fresh backup.
	RequireBackup bool
	// Migrate is false where somebody else migrates.
	Migrate bool
	// Windows in which a rollout may begin; none is always.
	Windows []Window
}

// Step of a canary: a weight or a number of pods.
type Step struct {
	Weight int32 `json:"weight,omitempty"`
	Pods   int32 `json:"pods,omitempty"`
	// Pause before the next step; zero waits for a person.
	Pause time.Duration `json:"pause,omitempty"`
}

// DefaultSteps are those of a canary whose spec has none.
func DefaultSteps() []Step {
	return []Step{{Weight: 5, Pause: time.Minute}, {Weight: 25, Pause: time.Minute}, {Weight: 50, Pause: time.Minute}}
}

// stepped reports whether the rollout's waves take steps.
func (p Policy) stepped(s State) bool {
	return p.Strategy == StrategyCanary && len(p.Steps) > 0 && !s.first() && !s.Undo && !s.SkipSteps
}

// step is the step that the state is at. A spec that lost steps meanwhile keeps the last one.
func (p Policy) step(s State) Step {
	if len(p.Steps) == 0 {
		return Step{}
	}
	return p.Steps[min(s.Step, len(p.Steps)-1)]
}

// Window is a time of the week, in UTC, in which a rollout may begin.
type Window struct {
	// Days on which it opens; none is every day.
	Days []time.Weekday
	// From and Until are times of the day. Until before From is on the next day.
	From, Until time.Duration
}

// Open reports whether a moment is in the window.
func (w Window) Open(now time.Time) bool {
	now = now.UTC()
	midnight := now.Truncate(24 * time.Hour)
	length := w.Until - w.From
	if length <= 0 {
		length += 24 * time.Hour
	}
	// Today's and yesterday's: the latter may reach over midnight.
	for _, day := range []time.Time{midnight, midnight.Add(-24 * time.Hour)} {
		open := day.Add(w.From)
		if (len(w.Days) == 0 || slices.Contains(w.Days, day.Weekday())) && !now.Before(open) && now.Before(open.Add(length)) {
			return true
		}
	}
	return false
}

// open reports whether a rollout may begin now.
func (p Policy) open(now time.Time) bool {
	return len(p.Windows) == 0 || slices.ContainsFunc(p.Windows, func(w Window) bool { return w.Open(now) })
}

// opens is the next full minute at which a window is open, within two weeks.
func (p Policy) opens(now time.Time) time.Time {
	at := now.Truncate(time.Minute)
	for range 14 * 24 * 60 {
		at = at.Add(time.Minute)
		if p.open(at) {
			return at
		}
	}
	return time.Time{}
}
