package commercestack

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// maxNote is the longest text of an event.
const maxNote = 1024

// note is an event that was not sent yet.
type note struct{ kind, reason, action, text string }

// tellf queues an event. Events are sent after the status was stored, so that a
// visit that is repeated does not tell things twice.
func (v *visit) tellf(reason, action, format string, args ...any) {
	v.notes = append(v.notes, note{corev1.EventTypeNormal, reason, action, fmt.Sprintf(format, args...)})
}

func (v *visit) warnf(reason, action, format string, args ...any) {
	v.notes = append(v.notes, note{corev1.EventTypeWarning, reason, action, fmt.Sprintf(format, args...)})
}

// sendEvents tells what was done, one event for each kind of object and deed, and
// which conditions changed.
func (v *visit) sendEvents(before []metav1.Condition) {
	if !v.pass.Dry() {
		for _, group := range v.deeds() {
			v.send(group)
		}
	}
	for _, note := range v.notes {
		v.send(note)
	}
	for _, condition := range v.status.Conditions {
		old := meta.FindStatusCondition(before, condition.Type)
		if condition.Status == metav1.ConditionUnknown || (old != nil && old.Status == condition.Status && old.Reason == condition.Reason) {
			continue
		}
		if old == nil && condition.Status == metav1.ConditionFalse {
			continue // nothing happened yet
		}
		kind := corev1.EventTypeNormal
		if bad(condition) {
			kind = corev1.EventTypeWarning
		}
		v.send(note{kind, condition.Reason, condition.Type, fmt.Sprintf("%s is %s: %s", condition.Type, condition.Status, condition.Message)})
	}
}

// bad says whether a condition is worth a warning.
func bad(condition metav1.Condition) bool {
	switch condition.Type {
	case v1alpha1.ConditionStalled:
		return condition.Status == metav1.ConditionTrue
	case v1alpha1.ConditionMigrationsApplied:
		return condition.Reason == reasonFailed
	default:
		return false
	}
}

// deeds are what the visit did, by verb and kind.
func (v *visit) deeds() []note {
	var order []string
	names := map[string][]string{}
	for _, change := range v.pass.Changes() {
		reason := change.Verb + change.Kind
		if !slices.Contains(order, reason) {
			order = append(order, reason)
		}
		names[reason] = append(names[reason], change.Name)
	}
	notes := make([]note, 0, len(order))
	for _, reason := range order {
		notes = append(notes, note{corev1.EventTypeNormal, reason, "Reconcile", strings.Join(names[reason], ", ")})
	}
	return notes
}

func (v *visit) send(n note) {
	text := n.text
	if len(text) > maxNote {
		text = strings.ToValidUTF8(text[:maxNote-3], "") + "..."
	}
	v.Recorder.Eventf(v.stack, nil, n.kind, n.reason, n.action, "%s", text)
}
