package rollout

import (
	"fmt"
	"maps"
	"math"
	"time"
)

// OnNoData says what a measurement without data means.
type OnNoData string

// The meanings of no data.
const (
	// NoDataPause lets the rollout wait for a person after as many of them as the step needs passes.
	NoDataPause OnNoData = "Pause"
	// NoDataPass counts as a pass.
	NoDataPass OnNoData = "Pass"
	// NoDataFail counts as a failure.
	NoDataFail OnNoData = "Fail"
)

// Analysis is one measure of a canary.
type Analysis struct {
	Name  string
	Query string
	// SuccessBelow passes a smaller value, FailAbove fails a greater one; nil for
	// none. With one of them the rest is the opposite; between both nothing is known.
	SuccessBelow, FailAbove *float64
	// Interval between measurements.
	Interval time.Duration
	// Count is how many must pass in a step.
	Count int
	// FailureLimit is how many may fail in a step.
	FailureLimit int
	OnNoData     OnNoData
}

// Verdict on one measurement.
type Verdict string

// The verdicts.
const (
	// VerdictPass is good.
	VerdictPass Verdict = "Pass"
	// VerdictFail is bad.
	VerdictFail Verdict = "Fail"
	// VerdictNoData is neither.
	VerdictNoData Verdict = "NoData"
)

// Measurement is one value.
type Measurement struct {
	Name string `json:"name"`
	// Value, nil without data.
	Value   *float64  `json:"value,omitempty"`
	Verdict Verdict   `json:"verdict,omitempty"`
	At      time.Time `json:"at"`
}

// Tally counts the measurements of one analysis in one step.
type Tally struct {
	Passed int `json:"passed,omitempty"`
	Failed int `json:"failed,omitempty"`
	// Unknown counts those without data since the last one with data.
	Unknown int `json:"unknown,omitempty"`
	// Last is when the newest was taken.
	Last time.Time `json:"last,omitzero"`
}

// keptMeasurements is how many are shown to people.
const keptMeasurements = 32

// judge is the verdict on a value.
func (a Analysis) judge(value *float64) Verdict {
	switch {
	case value == nil:
		return VerdictNoData
	case a.FailAbove != nil && *value > *a.FailAbove:
		return VerdictFail
	case a.SuccessBelow != nil && *value < *a.SuccessBelow:
		return VerdictPass
	case a.FailAbove == nil && a.SuccessBelow != nil:
		return VerdictFail
	case a.SuccessBelow == nil && a.FailAbove != nil:
		return VerdictPass
	default:
		return VerdictNoData
	}
}

// take counts the measurements of this step that were not counted yet.
func (p Policy) take(s State, o Observation) State {
	for _, m := range o.Measurements {
		for _, a := range p.Analysis {
			tally := s.Tallies[a.Name]
			// What was measured before the canary had traffic says nothing about it.
			if a.Name != m.Name || s.EffectiveSince.IsZero() || m.At.Before(s.EffectiveSince) || !m.At.After(tally.Last) {
				continue
			}
			if m.Value != nil && (math.IsNaN(*m.Value) || math.IsInf(*m.Value, 0)) {
				m.Value = nil // a division by nothing: there was no traffic
			}
			m.Verdict = a.judge(m.Value)
			s.Tallies = maps.Clone(s.Tallies)
			if s.Tallies == nil {
				s.Tallies = map[string]Tally{}
			}
			s.Tallies[a.Name] = tally.count(a, m)
			s.Measurements = append(s.Measurements[max(0, len(s.Measurements)-keptMeasurements+1):len(s.Measurements):len(s.Measurements)], m)
		}
	}
	return s
}

func (t Tally) count(a Analysis, m Measurement) Tally {
	t.Last = m.At
	verdict := m.Verdict
	if verdict == VerdictNoData {
		switch a.OnNoData {
		case NoDataPass:
			verdict = VerdictPass
		case NoDataFail:
			verdict = VerdictFail
		case NoDataPause:
		}
	}
	switch verdict {
	case VerdictPass:
		t.Passed++
		t.Unknown = 0
	case VerdictFail:
		t.Failed++
		t.Unknown = 0
	case VerdictNoData:
		t.Unknown++
	}
	return t
}

// outcome is the verdict on a step: failed or blind with a reason, or passed.
func (p Policy) outcome(s State) (failed, blind string, passed bool) {
	passed = true
	for _, a := range p.Analysis {
		t := s.Tallies[a.Name]
		switch {
		case t.Failed > a.FailureLimit:
			return fmt.Sprintf("%s failed %d times, %d are forgiven", a.Name, t.Failed, a.FailureLimit), "", false
		case t.Unknown >= max(a.Count, 1) && t.Passed < a.Count:
			blind = a.Name + " has no data"
		}
		passed = passed && t.Passed >= a.Count
	}
	return "", blind, passed
}

// measure asks for the measurements that are due.
func (p Policy) measure(s State, now time.Time) []Effect {
	if s.EffectiveSince.IsZero() {
		return nil
	}
	var effects []Effect
	for _, a := range p.Analysis {
		last := s.Tallies[a.Name].Last
		if last.IsZero() {
			last = s.EffectiveSince
		}
		if !now.Before(last.Add(a.Interval)) {
			effects = append(effects, Effect{Kind: EffectMeasure, Revision: s.Target, Analysis: a})
		}
	}
	return effects
}
