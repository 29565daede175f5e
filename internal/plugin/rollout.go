package plugin

import (
	"fmt"
	"strings"
	"time"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// shownMeasurements are the newest ones: the rest is history.
const shownMeasurements = 6

// rollout is the revision that is coming, how far it is and what was measured.
func (r reporter) rollout() node {
	status := r.stack.Status
	n := node{Kind: "rollout", State: stateInfo, Text: "none"}
	if status.Rollout == nil || status.Rollout.Phase == "" {
		if status.CurrentRevision != "" {
			n.State, n.Text = stateOK, "none, revision "+status.CurrentRevision+" serves"
		}
		return n
	}
	ro := *status.Rollout
	n.Name = ro.Revision
	texts := []string{ro.Phase}
	switch ro.Phase {
	case v1alpha1.RolloutIdle, v1alpha1.RolloutComplete:
		n.State = stateOK
	case v1alpha1.RolloutFailed, v1alpha1.RolloutRolledBack:
		n.State = stateBad
	default:
		n.State = stateBusy
		texts = append(texts, fmt.Sprintf("wave %d, step %d, %d%% of the traffic", ro.Wave, ro.Step, ro.Weight))
	}
	if at, ok := moment(ro.StartedAt); ok {
		texts = append(texts, "began "+ago(at, r.now))
	}
	if at, ok := moment(ro.FinishedAt); ok {
		texts = append(texts, "ended "+ago(at, r.now))
	}
	if ro.ApprovedBy != "" {
		texts = append(texts, "approved by "+ro.ApprovedBy)
	}
	n.Text = sentence(strings.Join(texts, ", "), ro.Message)
	if ro.Phase == v1alpha1.RolloutAwaitingApproval {
		n.Text += "; agree with: kubectl commerce approve " + r.stack.Name + " -n " + r.stack.Namespace
	}
	if failed := status.LastFailedRevision; failed != "" {
		n = n.with(node{Kind: "failed revision", Name: failed, State: stateInfo, Text: "not tried again until the spec changes"})
	}
	return n.with(r.measurements(ro.Measurements)...)
}

func (r reporter) measurements(all []v1alpha1.Measurement) []node {
	if len(all) > shownMeasurements {
		all = all[len(all)-shownMeasurements:]
	}
	nodes := make([]node, len(all))
	for i, m := range all {
		nodes[i] = node{Kind: m.Name, State: stateInfo, Text: sentence(m.Verdict, m.Value) + ", " + ago(m.At.Time, r.now)}
	}
	return nodes
}

// backup is the newest backup, where backups are wanted.
func (r reporter) backup() (node, bool) {
	if r.stack.Spec.Backup == nil {
		return node{}, false
	}
	n := node{Kind: "backup", State: stateBusy, Text: "none yet"}
	b := r.stack.Status.Backup
	if b == nil {
		return n, true
	}
	if at, ok := moment(b.LastSuccess); ok {
		n.State, n.Text = stateOK, "newest "+ago(at, r.now)
	}
	if b.RPO != nil && b.RTO != nil {
		n.Text += fmt.Sprintf(", a drill lost %s and took %s", b.RPO.Round(time.Second), b.RTO.Round(time.Second))
	}
	if b.LastError != "" {
		n.State, n.Text = stateBad, sentence(n.Text, b.LastError)
	}
	return n, true
}
