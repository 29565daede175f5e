package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/commercestack/commercestack/controllers/rotation"
)

// ErrBroken is a vault that a person must restore: making its values anew would
// lock consumers out, or lose what was sealed with them.
var ErrBroken = errors.New("the vault is broken")

// Wanted is what a stack needs.
type Wanted struct {
	// Secrets that rotate.
	Secrets []Secret
	// Since is when values that are already there, but were never rotated, came into use.
	Since time.Time
	// Now is when values that are made come into use.
	Now time.Time
	// AdminEmail of the first administrator. It is kept once it was written.
	AdminEmail string
	// Simulated makes keys of a simulated Stripe.
	Simulated bool
}

// Complete returns old with everything that is wanted and missing, and whether
// anything was. A vault of an operator that did not rotate is carried over: its
// values become first versions, and nothing that consumers have changes.
func Complete(old map[string][]byte, wanted Wanted) (data map[string][]byte, changed bool, err error) {
	v := Vault{data: maps.Clone(old)}
	if v.data == nil {
		v.data = map[string][]byte{}
	}
	states, err := v.States()
	if err != nil {
		return nil, false, err
	}
	for _, secret := range wanted.Secrets {
		at := slices.IndexFunc(states, func(s rotation.State) bool { return s.Secret == secret.Name })
		if at < 0 {
			states = append(states, v.add(secret, wanted))
			continue
		}
		if err := v.check(states[at]); err != nil {
			return nil, false, err
		}
	}
	add := func(key string, value func() []byte) {
		if len(v.data[key]) == 0 {
			v.data[key] = value()
		}
	}
	add(postgresPassword, password)
	add(redisPassword, password)
	add(adminEmail, func() []byte { return []byte(wanted.AdminEmail) })
	add(adminPassword, password)
	if wanted.Simulated {
		add(stripeKey, func() []byte { return append([]byte("sk_test_"), token(24)...) })
		add(stripeWebhook, func() []byte { return append([]byte("whsec_"), token(24)...) })
	}
	if v, err = v.WithStates(states); err != nil {
		return nil, false, err
	}
	return v.data, !same(old, v.data), nil
}

// add takes up a secret: its first version is what an operator that did not
// rotate kept, what others made, or a new value.
func (v Vault) add(secret Secret, wanted Wanted) rotation.State {
	if secret.Kind == rotation.KindWebhook {
		state := rotation.Adopted(secret.Name, secret.Kind, secret.OfferedID(), wanted.Now.UTC().Truncate(time.Second))
		v.data[secret.Key(state.Active)] = secret.Offered
		return state
	}
	value, slot := v.legacy(secret)
	since := wanted.Now
	if len(value) > 0 || secret.Kind == rotation.KindSigningKeys {
		since = wanted.Since
	}
	state := rotation.New(secret.Name, secret.Kind, since.UTC().Truncate(time.Second))
	if slot != "" {
		state.Active = rotation.ID("1" + slot)
	}
	if len(value) == 0 {
		value = bytes.Clone(secret.First)
	}
	if len(value) == 0 {
		value = secret.generate()
	}
	if key := secret.Key(state.Active); len(v.data[key]) == 0 && len(value) > 0 {
		v.data[key] = value
	}
	return state
}

// check refuses a vault that lost a value that consumers have.
func (v Vault) check(state rotation.State) error {
	if state.Kind == rotation.KindSigningKeys {
		return nil // auth keeps them
	}
	content := state.Content()
	for _, id := range []rotation.ID{content.Use, content.Accept} {
		if id != "" && len(v.Value(state, id)) == 0 {
			return fmt.Errorf("%w: it has no version %s of %s", ErrBroken, id, state.Secret)
		}
	}
	return nil
}

// States are those of all secrets that rotate, in a fixed order.
func (v Vault) States() ([]rotation.State, error) {
	var states []rotation.State
	if raw := v.data[rotationStates]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &states); err != nil {
			return nil, fmt.Errorf("%w: %s cannot be read", ErrBroken, rotationStates) // the cause could quote it
		}
	}
	return states, nil
}

// WithStates is a vault with other states. It keeps the keys that an operator
// that did not rotate reads, so that going back to one logs nobody out.
func (v Vault) WithStates(states []rotation.State) (Vault, error) {
	raw, err := json.Marshal(states) //nolint:gosec // a state has a secret's name, never its value
	if err != nil {
		return Vault{}, fmt.Errorf("encode the states of rotations: %w", err)
	}
	changed := Vault{data: v.Data()}
	changed.data[rotationStates] = raw
	for _, state := range states {
		changed.mirror(state)
	}
	return changed, nil
}
