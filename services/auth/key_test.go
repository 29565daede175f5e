package auth

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var testPolicy = KeyPolicy{}.withDefaults(time.Hour)

func TestPlan(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	key := func(id string, state KeyState, age time.Duration) SigningKey {
		k := SigningKey{ID: id, State: state, StateTime: now.Add(-age), PrivateSealed: []byte{1}}
		return k
	}
	day := 24 * time.Hour
	tests := []struct {
		name   string
		keys   []SigningKey
		want   []string // id→state
		create KeyState
	}{
		{"first key signs at once", nil, nil, KeyActive},
		{"nothing to do", []SigningKey{key("a", KeyActive, day)}, nil, ""},
		{"successor is made in time", []SigningKey{key("a", KeyActive, 90*day-15*time.Minute)}, nil, KeyPending},
		{"successor is published", []SigningKey{key("a", KeyActive, 90*day), key("b", KeyPending, 0)}, []string{"b→published"}, ""},
		{"successor is not known long enough", []SigningKey{key("a", KeyActive, 91*day), key("b", KeyPublished, 14*time.Minute)}, nil, ""},
		{"requested successor takes over early", []SigningKey{key("a", KeyActive, day), key("b", KeyPublished, 15*time.Minute)}, []string{"a→retiring", "b→active"}, ""},
		{"successor takes over", []SigningKey{key("b", KeyPublished, 15*time.Minute), key("a", KeyActive, 90*day)}, []string{"a→retiring", "b→active"}, ""},
		{"old key is still needed", []SigningKey{key("a", KeyRetiring, time.Hour), key("b", KeyActive, time.Hour)}, nil, ""},
		{"old key goes", []SigningKey{key("a", KeyRetiring, 2*time.Hour), key("b", KeyActive, 2*time.Hour)}, []string{"a→removed"}, ""},
		{"lost signer is replaced by the published one", []SigningKey{key("c", KeyPending, 0), key("b", KeyPublished, 0)}, []string{"b→active"}, ""},
		{"lost signer is replaced by the pending one", []SigningKey{key("b", KeyPending, 0), key("a", KeyRetiring, 0)}, []string{"b→active"}, ""},
		{"removed keys count for nothing", []SigningKey{key("a", KeyRemoved, 0)}, nil, KeyActive},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			changed, create := testPolicy.Plan(test.keys, false, now)
			if create != test.create || len(changed) != len(test.want) {
				t.Fatalf("changed %v, create %q", changed, create)
			}
			for i, k := range changed {
				if got := k.ID + "→" + string(k.State); got != test.want[i] {
					t.Errorf("change %d is %s, want %s", i, got, test.want[i])
				}
				if !k.StateTime.Equal(now) {
					t.Error("the time of the change is missing")
				}
				if ended := k.State == KeyRetiring || k.State == KeyRemoved; ended != (k.PrivateSealed == nil) {
					t.Errorf("%s key with private half %v", k.State, k.PrivateSealed)
				}
			}
		})
	}
}

func TestPlanOnRequest(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	active, next := SigningKey{ID: "a", State: KeyActive, StateTime: now}, SigningKey{ID: "b", StateTime: now, PrivateSealed: []byte{1}}
	pending, published := next.to(KeyPending, now), next.to(KeyPublished, now)
	for name, test := range map[string]struct {
		keys    []SigningKey
		changed int
		create  KeyState
	}{
		"a key is published at once":              {[]SigningKey{active}, 0, KeyPublished},
		"the first key signs at once":             {nil, 0, KeyActive},
		"a pending successor is published":        {[]SigningKey{active, pending}, 1, ""},
		"a published successor is what was asked": {[]SigningKey{active, published}, 0, ""},
	} {
		changed, create := testPolicy.Plan(test.keys, true, now)
		if len(changed) != test.changed || create != test.create {
			t.Errorf("%s: changed %v, create %q", name, changed, create)
		}
	}
}

// TestPlanKeepsEveryTokenVerifiable runs years of ticks at random moments and
// checks what people would notice: always one signer, never a token that a verifier does not know the key of.
func TestPlanKeepsEveryTokenVerifiable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_800_000_000, 0)
		keys := map[string]SigningKey{}
		type signed struct {
			key    string
			expire time.Time
		}
		var tokens []signed
		serial := 0
		for range rapid.IntRange(1, 150).Draw(t, "ticks") {
			list := make([]SigningKey, 0, len(keys))
			for _, k := range keys {
				list = append(list, k)
			}
			changed, create := testPolicy.Plan(list, rapid.IntRange(0, 4).Draw(t, "request") == 0, now)
			for _, k := range changed {
				if k.State == KeyActive && len(keys) > 1 && now.Sub(keys[k.ID].StateTime) < testPolicy.PublishLead {
					t.Fatal("a key signs before verifiers know it")
				}
				keys[k.ID] = k
			}
			if create != "" {
				serial++
				k := SigningKey{ID: string(rune('a' + serial)), State: create, StateTime: now, CreateTime: now, PrivateSealed: []byte{1}}
				keys[k.ID] = k
			}
			states := map[KeyState]int{}
			signer := ""
			for id, k := range keys {
				states[k.State]++
				if k.State == KeyActive {
					signer = id
				}
			}
			if states[KeyActive] != 1 || states[KeyPending]+states[KeyPublished] > 1 {
				t.Fatalf("states %v", states)
			}
			tokens = append(tokens, signed{signer, now.Add(time.Hour)})
			now = now.Add(time.Duration(rapid.Int64Range(int64(time.Minute), int64(20*24*time.Hour)).Draw(t, "pause")))
			for _, token := range tokens {
				if now.Before(token.expire) && !keys[token.key].Verifies() {
					t.Fatalf("a live token names the %s key %s", keys[token.key].State, token.key)
				}
			}
		}
	})
}

func TestVerifyingOrder(t *testing.T) {
	t.Parallel()
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	set := verifying([]SigningKey{
		{ID: "old", State: KeyRetiring, CreateTime: at(1)},
		{ID: "gone", State: KeyRemoved},
		{ID: "hidden", State: KeyPending},
		{ID: "next", State: KeyPublished, CreateTime: at(3)},
		{ID: "now", State: KeyActive, CreateTime: at(2)},
	})
	if len(set) != 3 || set[0].ID != "next" || set[1].ID != "now" || set[2].ID != "old" {
		t.Errorf("%v", set)
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	c := Config{}.withDefaults()
	if c.AccessLife != time.Hour || c.RefreshLife != 720*time.Hour || c.RefreshGrace != 45*time.Second ||
		c.VerifyLife != 24*time.Hour || c.ResetLife != 30*time.Minute || c.Keys.RetireAfter <= time.Hour {
		t.Errorf("%+v", c)
	}
	if _, err := New(Config{}, Deps{}); err == nil {
		t.Error("a Service without dependencies")
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "abc": "abc", "abcd": "abc", "aéé": "aé", "éé": "é", "語語": "語"} {
		if got := truncate(text, 3); got != want {
			t.Errorf("truncate(%q) = %q, want %q", text, got, want)
		}
	}
	if got := truncate("語", 2); got != "" {
		t.Errorf("%q", got)
	}
}
