package plugin

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

// age is how long something is past, such as "5m".
func age(at, now time.Time) string {
	return duration.HumanDuration(max(0, now.Sub(at)))
}

// ago is the same as part of a sentence.
func ago(at, now time.Time) string { return age(at, now) + " ago" }

// due is a date and how far it is.
func due(at, now time.Time) string {
	date := at.UTC().Format(time.DateOnly)
	if at.Before(now) {
		return date + ", " + ago(at, now)
	}
	return date + ", in " + duration.HumanDuration(at.Sub(now))
}

// eventTime is when an event was seen last.
func eventTime(e corev1.Event) time.Time {
	switch {
	case e.Series != nil && !e.Series.LastObservedTime.IsZero():
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	default:
		return e.CreationTimestamp.Time
	}
}

// moment is a time that may be missing.
func moment(t *metav1.Time) (time.Time, bool) {
	if t.IsZero() {
		return time.Time{}, false
	}
	return t.Time, true
}
