package rotation

import (
	"slices"
	"strconv"
	"time"
)

// Kind is a sort of secret, which decides how it is replaced.
type Kind string

// The kinds of secrets.
const (
	// KindLogin is a component's login to PostgreSQL: two roles that alternate.
	KindLogin Kind = "Login"
	// KindCacheLogin is the platform's login to Redis: two ACL users that alternate.
	KindCacheLogin Kind = "CacheLogin"
	// KindIdentityKeys are the keys by which processes trust each other.
	KindIdentityKeys Kind = "IdentityKeys"
	// KindEncryptionKeys are the keys of sealed fields.
	KindEncryptionKeys Kind = "EncryptionKeys"
	// KindWebhook is a secret that Stripe makes and a person puts into the cluster.
	KindWebhook Kind = "Webhook"
	// KindSigningKeys are the keys of access tokens, which auth keeps in its database.
	KindSigningKeys Kind = "SigningKeys"
)

// ID names a version of a secret. That of a login ends in its role: a or b.
type ID string

// Slot is the role of a login's version, "a" or "b".
func (id ID) Slot() string {
	if id == "" {
		return ""
	}
	return string(id[len(id)-1])
}

// Content is what every consumer of a secret has: the version it uses and
// another one that it accepts.
type Content struct {
	// Use is the version that consumers log in, sign or seal with.
	Use ID `json:"use"`
	// Accept is a version that they accept besides, empty for none.
	Accept ID `json:"accept,omitempty"`
}

// Stage is the step of a rotation.
type Stage string

// The stages, in the order in which a secret that has all of them passes them.
const (
	// StageCurrent is rest.
	StageCurrent Stage = "Current"
	// StageGenerating persists the new version in the vault.
	StageGenerating Stage = "Generating"
	// StageDistributing waits until a file that is replaced in place has reached its server.
	StageDistributing Stage = "Distributing"
	// StageSettingLogin gives the idle role the new password and logs in with it.
	StageSettingLogin Stage = "SettingLogin"
	// StageIntroducing publishes the new version for the first time.
	StageIntroducing Stage = "Introducing"
	// StagePromoting makes the new version the one in use.
	StagePromoting Stage = "Promoting"
	// StageLeading waits until a key that is published may sign.
	StageLeading Stage = "Leading"
	// StageOverlapping waits until nothing made with the old version is alive.
	StageOverlapping Stage = "Overlapping"
	// StageRewriting seals every field anew.
	StageRewriting Stage = "Rewriting"
	// StageDropping takes the old version from consumers.
	StageDropping Stage = "Dropping"
	// StageRetiringLogin waits for the old role's last session and takes its password.
	StageRetiringLogin Stage = "RetiringLogin"
	// StageErasing removes the old version from the vault.
	StageErasing Stage = "Erasing"
	// StageReverting takes a first publish back.
	StageReverting Stage = "Reverting"
	// StageDiscarding takes the password that the idle role was given.
	StageDiscarding Stage = "Discarding"
	// StageForgetting removes the new version from the vault.
	StageForgetting Stage = "Forgetting"
)

// State is one secret. It is stored beside the values, in the vault.
type State struct {
	// Secret as in status.secrets, such as postgres-order.
	Secret string `json:"secret"`
	// Kind of the secret.
	Kind Kind `json:"kind"`
	// Stage of its rotation.
	Stage Stage `json:"stage"`
	// StageSince is when the stage began.
	StageSince time.Time `json:"stageSince"`
	// Active is the version in use.
	Active ID `json:"active"`
	// StartedAt is when the rotation began, zero at rest.
	StartedAt time.Time `json:"startedAt,omitzero"`
	// ActiveSince is when it came into use.
	ActiveSince time.Time `json:"activeSince"`
	// NextSince is when the next version came into use, before the old one is gone.
	NextSince time.Time `json:"nextSince,omitzero"`
	// Next is the version that is introduced, empty at rest.
	Next ID `json:"next,omitempty"`
	// Serial is the number of the newest version. It never goes back, so that an
	// id, and a Job named by it, never means two things.
	Serial int `json:"serial"`
	// Attempt counts the failed Jobs of a stage.
	Attempt int `json:"attempt,omitempty"`
	// Failures counts rotations that were given up since the last one that succeeded.
	Failures int `json:"failures,omitempty"`
	// RetryAt is when a failed step, or a secret that gave up, is tried again.
	RetryAt time.Time `json:"retryAt,omitzero"`
	// Request is the id of the last request that was taken up or refused.
	Request string `json:"request,omitempty"`
	// LastError of a rotation; empty after one that succeeded.
	LastError string `json:"lastError,omitempty"`
}

// New is a secret whose first version is in use.
func New(secret string, kind Kind, now time.Time) State {
	s := State{Secret: secret, Kind: kind, Stage: StageCurrent, Serial: 1, StageSince: now, ActiveSince: now}
	s.Active = s.id(1)
	return s
}

// Adopted is a secret that others make: its ids are made from its value.
func Adopted(secret string, kind Kind, active ID, now time.Time) State {
	return State{Secret: secret, Kind: kind, Stage: StageCurrent, Active: active, StageSince: now, ActiveSince: now}
}

// id is the name of the version of that number.
func (s State) id(serial int) ID {
	name := strconv.Itoa(serial)
	if s.Kind != KindLogin && s.Kind != KindCacheLogin {
		return ID(name)
	}
	// The role that is idle, whatever the number: a version that was given up
	// must not turn the roles around.
	if s.Active.Slot() == "a" {
		return ID(name + "b")
	}
	return ID(name + "a")
}

// Idle reports whether the secret is at rest.
func (s State) Idle() bool { return s.Stage == StageCurrent || s.Stage == "" }

// Content is what consumers are to have now. Desired objects are made from it
// at every moment, at rest and in a rollout too.
func (s State) Content() Content {
	content := Content{Use: s.Active}
	for _, step := range passed(s) {
		if step.publish != nil {
			content = step.publish(s)
		}
	}
	return content
}

// Logins are the versions of a login that its server must know after a restart:
// every one that a consumer may use, and none that is retired.
func (s State) Logins() []ID {
	switch s.Stage {
	case StageDistributing, StageSettingLogin, StagePromoting, StageReverting:
		return []ID{s.Active, s.Next}
	case StageRetiringLogin, StageErasing:
		return []ID{s.Next}
	default:
		return []ID{s.Active}
	}
}

// MovesPods reports whether consumers are being replaced: a rollout waits for that.
func (s State) MovesPods() bool {
	step, found := current(s)
	return s.Stage == StageReverting || (found && step.publish != nil)
}

// Status is the state as status.secrets shows it: Current, Pending, Publishing,
// Retiring or Failed.
func (s State) Status() string {
	switch {
	case s.LastError != "":
		return "Failed"
	case s.Idle():
		return "Current"
	case s.MovesPods():
		return "Publishing"
	case !s.published():
		return "Pending"
	default:
		return "Retiring"
	}
}

// published reports whether a consumer may have the new version.
func (s State) published() bool {
	return s.Stage == StageReverting || slices.ContainsFunc(passed(s), func(step step) bool { return step.publish != nil })
}

// enter is the state at the beginning of a stage.
func (s State) enter(stage Stage, now time.Time) State {
	s.Stage, s.StageSince, s.Attempt, s.RetryAt = stage, now, 0, time.Time{}
	return s
}

// backoff is the wait after the n-th failure in a row, from first up to most.
func backoff(n int, first, most time.Duration) time.Duration {
	wait := first
	for range min(max(n-1, 0), 30) {
		wait = min(wait*2, most)
	}
	return wait
}
