package backup

import (
	"slices"
	"strings"
	"time"
)

// orphanAge is how old an upload without a manifest must be to be given up: a
// running one is younger.
const orphanAge = 24 * time.Hour

// Expired are those whose time is over, oldest first: older than the retention,
// but never the newest, however old: an old backup is better than none. Without
// a retention all are kept.
func Expired(all []Manifest, now time.Time, retention time.Duration) []Manifest {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b Manifest) int { return strings.Compare(a.ID, b.ID) })
	if retention <= 0 || len(sorted) == 0 {
		return nil
	}
	return slices.DeleteFunc(sorted[:len(sorted)-1], func(m Manifest) bool { return now.Sub(m.SnapshotTime) <= retention })
}

// orphaned says whether what is stored under an id, without a manifest, was left
// behind by an upload that was cut off.
func orphaned(id string, now time.Time) bool {
	if !validID.MatchString(id) {
		return false
	}
	at, err := time.Parse(idTime, id[:len(idTime)])
	return err == nil && now.Sub(at) > orphanAge
}
