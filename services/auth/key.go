package auth

import (
	"cmp"
	"crypto/ed25519"
	"slices"
	"time"
)

// KeyState is a signing key's place in its life.
type KeyState string

// The states of a signing key, in order.
const (
	// KeyPending is a key that nobody has been told about.
	KeyPending KeyState = "pending"
	// KeyPublished is in the key set and does not sign yet.
	KeyPublished KeyState = "published"
	// KeyActive signs; there is one.
	KeyActive KeyState = "active"
	// KeyRetiring is in the key set for the tokens it signed.
	KeyRetiring KeyState = "retiring"
	// KeyRemoved is out of the key set.
	KeyRemoved KeyState = "removed"
)

// SigningKey is an Ed25519 key pair that signs access tokens.
type SigningKey struct {
	// ID is the "kid" of the tokens.
	ID string
	// State is the key's place in its life, StateTime when it came there.
	State     KeyState
	StateTime time.Time
	// Public is the half that verifiers get.
	Public ed25519.PublicKey
	// PrivateSealed is the encrypted private half, nil once the key has stopped signing.
	PrivateSealed []byte
	// Private is the opened private half; it is never stored.
	Private ed25519.PrivateKey
	// CreateTime is when the pair was made.
	CreateTime time.Time
}

// Verifies reports whether tokens signed with the key may be alive or are about to be.
func (k SigningKey) Verifies() bool {
	return k.State == KeyPublished || k.State == KeyActive || k.State == KeyRetiring
}

// to returns the key in the next state.
func (k SigningKey) to(state KeyState, now time.Time) SigningKey {
	k.State, k.StateTime = state, now
	if state == KeyRetiring || state == KeyRemoved {
		k.PrivateSealed, k.Private = nil, nil
	}
	return k
}

// KeyPolicy is the schedule of signing keys. Zero values are replaced by the defaults.
type KeyPolicy struct {
	// RotateEvery is how long a key signs; 90 days.
	RotateEvery time.Duration
	// PublishLead is how long a key is known before it signs; 15 minutes. It must exceed the life of a cached key set.
	PublishLead time.Duration
	// RetireAfter is how long a key is known after it stopped signing: the life of a token and the clocks' difference.
	RetireAfter time.Duration
}

func (p KeyPolicy) withDefaults(accessLife time.Duration) KeyPolicy {
	p.RotateEvery = cmp.Or(p.RotateEvery, 90*24*time.Hour)
	p.PublishLead = cmp.Or(p.PublishLead, 15*time.Minute)
	// A signer may hold its copy of the active key for keysFresh after the change.
	p.RetireAfter = max(p.RetireAfter, accessLife+clockSkew+keysFresh)
	return p
}

// Plan returns the keys that change now, in the order in which they must be
// written, and the state of the key to create now ("" for none). Repeating it
// moves the keys on as their deadlines pass; at the same moment it changes
// nothing more. requested asks for a successor now, which one that is on its
// way already is.
func (p KeyPolicy) Plan(keys []SigningKey, requested bool, now time.Time) (changed []SigningKey, create KeyState) {
	var active, next *SigningKey
	for i := range keys {
		switch key := &keys[i]; key.State {
		case KeyActive:
			active = key
		case KeyPublished:
			next = key
		case KeyPending:
			if next == nil {
				next = key
			}
		case KeyRetiring:
			if !now.Before(key.StateTime.Add(p.RetireAfter)) {
				changed = append(changed, key.to(KeyRemoved, now))
			}
		case KeyRemoved:
		}
	}
	switch {
	case active == nil && next == nil:
		// Nothing was ever signed, or an operator removed the signer: waiting would stop all logins.
		return changed, KeyActive
	case active == nil:
		return append(changed, next.to(KeyActive, now)), ""
	case next == nil && requested:
		create = KeyPublished
	case next == nil:
		if !now.Before(active.StateTime.Add(p.RotateEvery - p.PublishLead)) {
			create = KeyPending
		}
	case next.State == KeyPending:
		changed = append(changed, next.to(KeyPublished, now))
	case !now.Before(next.StateTime.Add(p.PublishLead)):
		// It was made so early before the old one's time, or on request.
		// The old signer steps down first: the database allows one.
		changed = append(changed, active.to(KeyRetiring, now), next.to(KeyActive, now))
	}
	return changed, create
}

// verifying returns the keys of the public key set, newest first.
func verifying(keys []SigningKey) []SigningKey {
	set := slices.DeleteFunc(slices.Clone(keys), func(k SigningKey) bool { return !k.Verifies() })
	slices.SortFunc(set, func(a, b SigningKey) int {
		return cmp.Or(b.CreateTime.Compare(a.CreateTime), cmp.Compare(a.ID, b.ID))
	})
	return set
}
