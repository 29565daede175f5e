package desired

import (
	"errors"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// errFields says what a schedule looks like.
var errFields = errors.New("must be five fields: minute, hour, day of the month, month, day of the week")

// scheduleSamples is how many runs tell how far apart they are.
const scheduleSamples = 10

// parseSchedule reads a schedule as CronJobs do.
func parseSchedule(text string) (cron.Schedule, error) {
	if len(strings.Fields(text)) != 5 {
		return nil, errFields
	}
	return cron.ParseStandard(text)
}

// ScheduleInterval is the longest time between two runs of a schedule among those
// that come next; ok is false for one that never runs.
func ScheduleInterval(text string, now time.Time) (longest time.Duration, ok bool) {
	schedule, err := parseSchedule(text)
	if err != nil {
		return 0, false
	}
	before := schedule.Next(now.UTC())
	for range scheduleSamples {
		next := schedule.Next(before)
		if next.IsZero() {
			return 0, false
		}
		longest, before = max(longest, next.Sub(before)), next
	}
	return longest, true
}

// validateBackup checks what the schema cannot.
func validateBackup(in Input) field.ErrorList {
	var all field.ErrorList
	path := field.NewPath("spec", "backup")
	managed := in.PostgresMode == v1alpha1.DataManaged
	if backup := in.Stack.Spec.Backup; backup != nil {
		check := func(name, schedule string) {
			if _, err := parseSchedule(schedule); err != nil {
				all = append(all, field.Invalid(path.Child(name), schedule, err.Error()))
			}
		}
		check("schedule", backup.Schedule)
		if backup.RestoreTest != "" {
			check("restoreTest", backup.RestoreTest)
		}
		if managed && backup.RestoreTest != "" {
			all = append(all, field.Forbidden(path.Child("restoreTest"),
				"CloudNativePG's backups are restored into a cluster of their own, which the operator does not do: leave it out, or use mode StatefulSet or External"))
		}
		if managed && BackupStore(&in.Stack.Spec) == nil {
			all = append(all, field.Required(path.Child("destination"), "CloudNativePG backs up to S3: name a bucket, or keep uploads in one"))
		}
	}
	return all
}
