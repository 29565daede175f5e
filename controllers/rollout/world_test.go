package rollout

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// flaw is what is wrong with a revision.
type flaw string

const (
	flawNone      flaw = ""
	flawImage     flaw = "its image is not there"
	flawSlow      flaw = "its pods never become available"
	flawErrors    flaw = "it answers errors"
	flawMigration flaw = "its migration fails"
)

// world is what rollouts happen in: waves with pods that are replaced one by
// one, migrations, measurements. It checks what people would notice.
type world struct {
	flaws     map[string]flaw
	waves     []*worldWave
	want      []Assignment
	migrated  map[string]bool
	failed    map[string]bool
	started   map[string]bool
	history   []string
	blind     bool
	measured  []Measurement
	approvals []Approval
}

type worldWave struct {
	stable []string
	canary []string
	weight int32
}

func newWorld(waves, pods int) *world {
	w := &world{flaws: map[string]flaw{}, migrated: map[string]bool{}, failed: map[string]bool{}, started: map[string]bool{}}
	for range waves {
		w.waves = append(w.waves, &worldWave{stable: make([]string, pods)})
	}
	return w
}

func (w *world) bad(revision string) bool {
	return w.flaws[revision] == flawImage || w.flaws[revision] == flawSlow
}

// observe is what the operator finds.
func (w *world) observe(target string) Observation {
	o := Observation{Target: target, History: slices.Clone(w.history), Measurements: slices.Clone(w.measured), Approvals: slices.Clone(w.approvals)}
	for i, wave := range w.waves {
		seen := Wave{CanaryGone: len(wave.canary) == 0, CanaryWeight: wave.weight, CanaryPods: int32(len(wave.canary))}
		wanted := ""
		if i < len(w.want) {
			wanted = w.want[i].Stable
			// The object of a canary is there before its pods are.
			seen.CanaryGone = seen.CanaryGone && w.want[i].Canary == ""
		}
		if all(wave.stable, wave.stable[0]) && wave.stable[0] == wanted {
			seen.Stable, seen.Available = wave.stable[0], !w.bad(wave.stable[0]) && wave.stable[0] != ""
		}
		if len(wave.canary) > 0 && all(wave.canary, wave.canary[0]) {
			seen.Canary, seen.CanaryAvailable = wave.canary[0], !w.bad(wave.canary[0])
		}
		for _, revision := range append(slices.Clone(wave.stable), wave.canary...) {
			if w.flaws[revision] == flawImage {
				seen.Failed = "image not found"
			}
		}
		o.Waves = append(o.Waves, seen)
	}
	return o
}

func all(pods []string, revision string) bool {
	return !slices.ContainsFunc(pods, func(r string) bool { return r != revision })
}

func (w *world) carryOut(e Effect, now time.Time) {
	switch e.Kind {
	case EffectRecord:
		if !slices.Contains(w.history, e.Revision) {
			w.history = append(w.history, e.Revision)
		}
	case EffectMigrate:
		w.started[e.Revision] = true
	case EffectAssign:
		w.want = e.Assignments
	case EffectMeasure:
		value := 0.001
		if w.flaws[e.Revision] == flawErrors {
			value = 0.5
		}
		m := Measurement{Name: e.Analysis.Name, Value: &value, At: now}
		if w.blind {
			m.Value = nil
		}
		w.measured = append(w.measured, m)
	case EffectTell:
	}
}

// step lets the world go on by one small change.
func (w *world) step(t *rapid.T) {
	for revision := range w.started {
		if w.flaws[revision] == flawMigration {
			w.failed[revision] = true
		} else {
			w.migrated[revision] = true
		}
	}
	var changes []func()
	for i, a := range w.want {
		wave := w.waves[i]
		for j, revision := range wave.stable {
			// A rolling update keeps old pods until new ones are available.
			if revision != a.Stable && a.Stable != "" && (!w.bad(a.Stable) || j == 0) {
				changes = append(changes, func() { wave.stable[j] = a.Stable })
			}
		}
		pods := int(max(a.Pods, 1))
		switch {
		case a.Canary == "" && len(wave.canary) > 0:
			changes = append(changes, func() { wave.canary, wave.weight = wave.canary[:len(wave.canary)-1], 0 })
		case a.Canary != "" && (len(wave.canary) != pods || !all(wave.canary, a.Canary) || wave.weight != a.Weight):
			changes = append(changes, func() { wave.canary, wave.weight = slices.Repeat([]string{a.Canary}, pods), a.Weight })
		}
	}
	if len(changes) > 0 {
		changes[rapid.IntRange(0, len(changes)-1).Draw(t, "change")]()
	}
}

// check finds what people would notice. first is true before a revision ever served.
func (w *world) check(s State, p Policy, approved map[string]bool) string {
	running := map[string]bool{}
	for i, wave := range w.waves {
		for _, revision := range append(slices.Clone(wave.stable), wave.canary...) {
			if revision == "" {
				continue
			}
			running[revision] = true
			if i > 0 && revision == s.Target && s.Phase == PhasePromoting && s.Current != "" && i <= s.Wave && !all(w.waves[i-1].stable, s.Target) {
				return fmt.Sprintf("wave %d runs %s before wave %d does: %v", i, revision, i-1, w.waves[i-1].stable)
			}
			if p.Migrate && !w.migrated[revision] {
				return fmt.Sprintf("%s runs before its migration", revision)
			}
			if p.Approval == GateBeforeStart && revision != s.Current && s.Current != "" && !approved[revision] {
				return fmt.Sprintf("%s runs without an approval", revision)
			}
		}
		for _, revision := range wave.stable {
			if p.Approval == GateBeforePromote && revision != "" && revision != s.Current && s.Current != "" && !approved[revision] {
				return fmt.Sprintf("%s replaces wave %d without an approval", revision, i)
			}
		}
	}
	if len(running) > 2 && s.Current != "" {
		return fmt.Sprintf("three revisions run: %v", running)
	}
	return ""
}
