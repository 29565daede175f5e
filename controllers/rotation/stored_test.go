package rotation

import (
	"testing"
	"time"
)

// A secret of a store has no schedule: it begins when the store's value changes,
// never twice at once, and a request for it is refused with what to do.
func TestSecretsOfAStoreFollowTheStore(t *testing.T) {
	t.Parallel()
	policy := Policy{}.WithDefaults()
	now := time.Unix(1_800_000_000, 0).UTC()
	late := now.Add(10 * policy.Interval)
	states := []State{New("postgres-order", KindLogin, now), New("encryption-keys", KindEncryptionKeys, now)}
	same := Stack{Key: "x", Secrets: map[string]Observation{"postgres-order": {Stored: true}, "encryption-keys": {Stored: true}}}
	if r := policy.Plan(states, same, late); !r.States[0].Idle() || !r.States[1].Idle() || !r.Wake.IsZero() || len(r.Effects) != 0 {
		t.Errorf("long after its interval: %+v", r)
	}
	asked := same
	asked.Request = Request{Secret: "postgres-order", ID: "1"}
	if r := policy.Plan(states, asked, now); !r.States[0].Idle() || r.States[0].LastError != refusal(Observation{Stored: true}) {
		t.Errorf("asked: %+v", r.States[0])
	}
	changed := same
	changed.Secrets = map[string]Observation{"postgres-order": {Stored: true, Changed: true}, "encryption-keys": {Stored: true, Changed: true}}
	r := policy.Plan(states, changed, now.Add(time.Minute))
	moving := 0
	for _, state := range r.States {
		if !state.Idle() {
			moving++
		}
	}
	if moving != 1 {
		t.Errorf("%d secrets rotate at once, want 1", moving)
	}
	failed := states
	failed[0].RetryAt, failed[0].Failures = now.Add(time.Hour), 1
	failed[1] = New("encryption-keys", KindEncryptionKeys, now)
	changed.Secrets["encryption-keys"] = Observation{Stored: true}
	if r := policy.Plan(failed, changed, now.Add(time.Minute)); !r.States[0].Idle() || !r.Wake.Equal(now.Add(time.Hour)) {
		t.Errorf("one that failed is tried at once, or never: %+v, wake %s", r.States[0], r.Wake)
	}
}
