package rollout

import "time"

// Observation is what was found.
type Observation struct {
	// Target is the revision of the spec.
	Target string
	// Waves as they run.
	Waves []Wave
	// Migration of the state's target.
	Migration Migration
	// BackupFresh is true with a backup that is young enough for a migration.
	BackupFresh bool
	// Measurements that were taken since.
	Measurements []Measurement
	// Approvals that exist, whatever they are about.
	Approvals []Approval
	// Requester is who changed the spec last, empty when nobody vouches for it.
	Requester string
	// Request is the newest request, zero for none.
	Request Request
	// History are the revisions that can be returned to.
	History []string
	// RotationMovesPods is true while a rotation replaces consumers.
	RotationMovesPods bool
	// Paused changes nothing.
	Paused bool
}

// Wave is one wave as it runs.
type Wave struct {
	// Stable is the revision of every template and every pod of the wave's own
	// Deployments, terminating pods included, empty while they differ.
	Stable string
	// Available is true when all of those pods are.
	Available bool
	// Canary is the revision of every canary pod, empty when there is none or they differ.
	Canary string
	// CanaryGone is true when no canary object is left, with or without pods.
	CanaryGone bool
	// CanaryAvailable is true when all of its pods are.
	CanaryAvailable bool
	// CanaryWeight and CanaryPods are what is in effect.
	CanaryWeight, CanaryPods int32
	// Failed says why pods of the state's target will not become available by
	// waiting: an image that is not there, a container that ends again and again.
	Failed string
}

// Migration is the Job of a revision.
type Migration struct {
	// Revision it belongs to.
	Revision string
	// Succeeded and Failed are its ends.
	Succeeded, Failed bool
	// Message of a failed one.
	Message string
}

// Approval is a person's agreement to one revision.
type Approval struct {
	Revision string
	// By is who, as the API server knew them.
	By string
	// ExpiresAt is when it no longer counts; zero for never.
	ExpiresAt time.Time
}

// Verb is what a person asks for.
type Verb string

// The verbs.
const (
	// VerbPause stops before the next step.
	VerbPause Verb = "pause"
	// VerbResume goes on.
	VerbResume Verb = "resume"
	// VerbAbort goes back.
	VerbAbort Verb = "abort"
	// VerbPromote skips the steps that are left.
	VerbPromote Verb = "promote"
	// VerbUndo returns to an older revision.
	VerbUndo Verb = "undo"
)

// Request is what a person asks for, once.
type Request struct {
	Verb Verb
	// Revision it is about: the target, or for undo the revision to return to, empty for the one before.
	Revision string
	ID       string
}

// EffectKind is something that the caller carries out.
type EffectKind string

// The effects. Each can be repeated.
const (
	// EffectRecord keeps what Revision is made of, for undo.
	EffectRecord EffectKind = "Record"
	// EffectMigrate creates the migration Job of Revision, unless it is there.
	EffectMigrate EffectKind = "Migrate"
	// EffectAssign makes the waves run Assignments.
	EffectAssign EffectKind = "Assign"
	// EffectMeasure takes one measurement of Analysis, about the canary of Revision.
	EffectMeasure EffectKind = "Measure"
	// EffectTell tells people: an event on the stack and the channels they chose.
	// It is lost if the operator dies before it.
	EffectTell EffectKind = "Tell"
)

// Effect is something that the caller carries out, in the order of the list.
type Effect struct {
	Kind        EffectKind
	Revision    string
	Assignments []Assignment
	Analysis    Analysis
	Message     string
}
