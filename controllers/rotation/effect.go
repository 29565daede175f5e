package rotation

import (
	"fmt"
	"time"
)

// EffectKind is something that the caller carries out.
type EffectKind string

// The effects. Each can be repeated: what is done already stays as it is.
const (
	// EffectGenerate persists a random value as Version, unless one is there.
	EffectGenerate EffectKind = "Generate"
	// EffectAdopt persists the value that was offered as Version.
	EffectAdopt EffectKind = "Adopt"
	// EffectErase removes the value of Version from the vault.
	EffectErase EffectKind = "Erase"
	// EffectArchive keeps the value of Version in the vault for the reading of
	// backups, out of every consumer's reach.
	EffectArchive EffectKind = "Archive"
	// EffectPublish gives Content to every consumer.
	EffectPublish EffectKind = "Publish"
	// EffectRunJob creates Job, unless it is there.
	EffectRunJob EffectKind = "RunJob"
	// EffectStopJob deletes Job with its pods. It comes before the Job that must not run beside it.
	EffectStopJob EffectKind = "StopJob"
)

// Effect is something that the caller carries out, in the order of the list.
type Effect struct {
	Kind   EffectKind
	Secret string
	// Version of the vault's effects.
	Version ID
	// Content of EffectPublish.
	Content Content
	// Job of EffectRunJob and EffectStopJob.
	Job Job
}

// Verb is what a Job does inside the stack.
type Verb string

// The verbs.
const (
	// VerbSetLogin gives the role of Version its password and logs in with it
	// (commerce database set-login).
	VerbSetLogin Verb = "set-login"
	// VerbRetireLogin takes the password of the role of Version, after its last
	// session ended (commerce database retire-login). It fails while sessions are
	// alive and is then tried again.
	VerbRetireLogin Verb = "retire-login"
	// VerbRewrite seals every field anew with the first key, and fails if one is left.
	VerbRewrite Verb = "rewrite"
)

// Job is one run of a verb.
type Job struct {
	// ID names the run: another attempt is another Job.
	ID string
	// Verb says what it does.
	Verb Verb
	// Version it is about; of a login, Version.Slot() is the role.
	Version ID
}

// job is the Job of a stage.
func (s State) job(verb Verb, version ID) Job {
	return Job{ID: fmt.Sprintf("%s-%s-%s-%d-%d", verb, s.Secret, version, s.Serial, s.Attempt), Verb: verb, Version: version}
}

// JobPhase is how far a Job is.
type JobPhase string

// The phases of a Job.
const (
	// JobAbsent is a Job that does not exist.
	JobAbsent JobPhase = ""
	// JobRunning is a Job without an end.
	JobRunning JobPhase = "Running"
	// JobSucceeded is a Job that did its work.
	JobSucceeded JobPhase = "Succeeded"
	// JobFailed is a Job that gave up.
	JobFailed JobPhase = "Failed"
)

// JobObservation is a Job as it was found.
type JobObservation struct {
	Phase JobPhase
	// Message of a failed one.
	Message string
}

// Observation is what was found of one secret.
type Observation struct {
	// Vault are the versions whose values are persisted and not archived.
	Vault []ID
	// Deployed is the content that every consumer has, the zero value while they
	// differ. A consumer has it when the templates of its Deployments and every
	// pod have, terminating pods included: without the templates, a publish that
	// was carried out and has moved no pod yet would look as if it were taken back.
	Deployed Content
	// Jobs by ID.
	Jobs map[string]JobObservation
	// Offered is the version of a secret that others make: a hash of its value.
	Offered ID
	// Stored is true of a secret that a store outside the cluster has, Changed while
	// the store's value is another than that of the version in use. Such a secret
	// has no schedule.
	Stored, Changed bool
	// Rollout is true while a rollout moves pods.
	Rollout bool
	// RolloutWaits is true while a rollout waits for the rotation.
	RolloutWaits bool
}

// Policy is the schedule of rotations and its limits. WithDefaults fills what is zero.
type Policy struct {
	// Interval between the rotations of one secret.
	Interval time.Duration
	// ProgressDeadline is how long consumers may take to get a new content.
	ProgressDeadline time.Duration
	// Attempts is how many Jobs may fail before a rotation that no consumer noticed is given up.
	Attempts int
	// Settle is how long a file that is replaced in place takes to reach its server.
	Settle time.Duration
	// IdentityLife is how long what an identity key signed is accepted.
	IdentityLife time.Duration
	// WebhookOverlap is how long Stripe signs with both secrets.
	WebhookOverlap time.Duration
	// SigningLead is how long a token key is published before it signs.
	SigningLead time.Duration
	// SigningLife is how long a token is accepted.
	SigningLife time.Duration
}

// WithDefaults replaces zero values.
func (p Policy) WithDefaults() Policy {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&p.Interval, 2160*time.Hour)
	set(&p.ProgressDeadline, 10*time.Minute)
	// The kubelet looks at volumes every minute and may answer from a copy of another one.
	set(&p.Settle, 3*time.Minute)
	set(&p.IdentityLife, time.Hour)
	set(&p.WebhookOverlap, 24*time.Hour)
	set(&p.SigningLead, time.Hour)
	set(&p.SigningLife, 2*time.Hour)
	if p.Attempts == 0 {
		p.Attempts = 5
	}
	return p
}

// The waits between attempts.
const (
	retryFirst  = 30 * time.Second
	retryMost   = time.Hour
	giveUpFirst = time.Hour
	giveUpMost  = 24 * time.Hour
)
