package commercestack

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/rollout"
)

const (
	defaultProgressDeadline = 10 * time.Minute
	defaultStepPause        = time.Minute
	defaultInterval         = 30 * time.Second
	defaultCount            = 3

	// The default measures look more often than those of a spec: the first
	// failures are to be few.
	builtInInterval = 10 * time.Second
)

// layout is what of a policy a rollout keeps from its beginning to its end: a
// spec that moves a component to another wave in mid-rollout moves no pods.
type layout struct {
	// Waves are the components that change together.
	Waves [][]v1alpha1.ComponentName `json:"waves,omitempty"`
	// Strategy and Steps of each wave.
	Strategy rollout.Strategy `json:"strategy,omitempty"`
	Steps    []rollout.Step   `json:"steps,omitempty"`
}

// layoutOf is the layout of a rollout that begins now. The first revision has no
// customers to protect from half of a version, and comes all at once. A gateway
// that reads no routing table gives no canary a share.
func (v *visit) layoutOf(first, routes bool) layout {
	l := layout{Strategy: rollout.StrategyRollingUpdate}
	if first {
		return layout{Waves: [][]v1alpha1.ComponentName{desired.Components()}, Strategy: rollout.StrategyRollingUpdate}
	}
	for _, wave := range v.waves() {
		l.Waves = append(l.Waves, wave.components)
	}
	if spec := v.stack.Spec.Rollout; spec.Strategy == v1alpha1.RolloutCanary && routes {
		l.Strategy = rollout.StrategyCanary
		l.Steps = stepsOf(spec.Steps)
	}
	return l
}

// wave are the components that change together.
type wave struct {
	number     int32
	components []v1alpha1.ComponentName
}

func (v *visit) waves() []wave {
	var waves []wave
	for _, component := range desired.Components() {
		number := desired.Wave(v.in, component)
		at := slices.IndexFunc(waves, func(w wave) bool { return w.number == number })
		if at < 0 {
			waves, at = append(waves, wave{number: number}), len(waves)
		}
		waves[at].components = append(waves[at].components, component)
	}
	slices.SortFunc(waves, func(a, b wave) int { return int(a.number - b.number) })
	return waves
}

func stepsOf(spec []v1alpha1.RolloutStep) []rollout.Step {
	if len(spec) == 0 {
		return rollout.DefaultSteps()
	}
	steps := make([]rollout.Step, 0, len(spec))
	for _, s := range spec {
		step := rollout.Step{Pause: defaultStepPause}
		if s.Weight != nil {
			step.Weight = *s.Weight
		}
		if s.Pods != nil {
			step.Pods = *s.Pods
		}
		if s.Pause != nil {
			step.Pause = s.Pause.Duration
		}
		steps = append(steps, step)
	}
	return steps
}

// policyOf is the stack's policy of rollouts, with every default filled in.
func (v *visit) policyOf(l layout) rollout.Policy {
	spec := &v.stack.Spec
	production := spec.Environment == v1alpha1.EnvironmentProduction || spec.Environment == ""
	return rollout.Policy{
		Waves: len(l.Waves), Strategy: l.Strategy, Steps: l.Steps, Analysis: analysisOf(spec.Rollout.Analysis),
		ProgressDeadline: cmp.Or(spec.Rollout.ProgressDeadline.Duration, defaultProgressDeadline),
		PauseOnFailure:   spec.Rollout.OnFailure == v1alpha1.OnFailurePause,
		Approval:         rollout.Gate(cmp.Or(spec.Rollout.Approval, v1alpha1.ApprovalNone)),
		FourEyes:         production, RequireBackup: spec.Migrations.RequireBackup,
		Migrate: spec.Migrations.Mode != v1alpha1.MigrationsSkip, Windows: windowsOf(spec.Rollout.Windows),
	}
}

// analysisOf are the measures of each step. Those of a spec without any catch a
// revision that fails one payment of fifty by its first failure in a hundred.
func analysisOf(spec []v1alpha1.AnalysisSpec) []rollout.Analysis {
	if len(spec) == 0 {
		measure := func(name string, failAbove float64, blind rollout.OnNoData) rollout.Analysis {
			return rollout.Analysis{Name: name, FailAbove: &failAbove, Interval: builtInInterval, Count: defaultCount, OnNoData: blind}
		}
		return []rollout.Analysis{
			measure(v1alpha1.MeasureErrorRate, 0.01, rollout.NoDataPause),
			// Whether there was traffic at all is the error rate's business.
			measure(v1alpha1.MeasureLatencyP95, 1, rollout.NoDataPass),
			measure(v1alpha1.MeasurePaymentSuccess, 0.01, rollout.NoDataPass),
		}
	}
	all := make([]rollout.Analysis, 0, len(spec))
	for _, a := range spec {
		all = append(all, rollout.Analysis{
			Name: a.Name, Query: a.Query, SuccessBelow: number(a.SuccessBelow), FailAbove: number(a.FailAbove),
			Interval: cmp.Or(a.Interval.Duration, defaultInterval), Count: int(cmp.Or(a.Count, defaultCount)), FailureLimit: int(a.FailureLimit),
			OnNoData: cmp.Or(rollout.OnNoData(a.OnNoData), rollout.NoDataPause),
		})
	}
	return all
}

// number reads a decimal number of the spec, which its schema checked; nil without one.
func number(text string) *float64 {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil
	}
	return &value
}

func windowsOf(spec []v1alpha1.RolloutWindow) []rollout.Window {
	windows := make([]rollout.Window, 0, len(spec))
	for _, w := range spec {
		window := rollout.Window{From: timeOfDay(w.From), Until: timeOfDay(w.Until)}
		for _, day := range w.Days {
			for weekday := time.Sunday; weekday <= time.Saturday; weekday++ {
				if weekday.String() == string(day) {
					window.Days = append(window.Days, weekday)
				}
			}
		}
		windows = append(windows, window)
	}
	return windows
}

func timeOfDay(text string) time.Duration {
	at, err := time.Parse("15:04", text)
	if err != nil {
		return 0 // the schema refuses it
	}
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
}
