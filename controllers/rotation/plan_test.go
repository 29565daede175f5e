package rotation

import (
	"testing"
	"time"
)

func TestDueIsJitteredAndKept(t *testing.T) {
	t.Parallel()
	seen := map[time.Time]bool{}
	for _, key := range []string{"a", "b", "c", "d"} {
		for _, kind := range kinds {
			s := New(string(kind), kind, start)
			due := testPolicy.Due(s, key)
			if due != testPolicy.Due(s, key) {
				t.Error("the jitter changes")
			}
			if age := due.Sub(start); age > testPolicy.Interval || age < testPolicy.Interval*9/10 {
				t.Errorf("due after %s", age)
			}
			seen[due] = true
		}
	}
	if len(seen) != 4*len(kinds) {
		t.Errorf("%d of %d are due at the same time as another", 4*len(kinds)-len(seen), 4*len(kinds))
	}
}

func states(now time.Time) []State {
	return []State{New("postgres-order", KindLogin, now), New("identity-keys", KindIdentityKeys, now), Adopted("stripe-webhook", KindWebhook, "aaaa", now)}
}

func TestChoice(t *testing.T) {
	t.Parallel()
	old := start.Add(-2 * testPolicy.Interval)
	for name, test := range map[string]struct {
		states []State
		stack  Stack
		want   string
		says   string
	}{
		"nothing is due":            {states(start), Stack{}, "", ""},
		"the oldest is due":         {[]State{states(old)[0], states(old.Add(-testPolicy.Interval))[1]}, Stack{}, "identity-keys", ""},
		"a request goes first":      {states(old), Stack{Request: Request{Secret: "identity-keys", ID: "1"}}, "identity-keys", ""},
		"a request without due":     {states(start), Stack{Request: Request{Secret: "postgres-order", ID: "1"}}, "postgres-order", ""},
		"a request for the unknown": {states(start), Stack{Request: Request{Secret: "x", ID: "1"}}, "", ""},
		"a rollout moves pods":      {states(old), Stack{Rollout: true, Request: Request{Secret: "identity-keys", ID: "1"}}, "", ""},
		"a rollout waits":           {states(old), Stack{RolloutWaits: true}, "", ""},
		"paused":                    {states(old), Stack{Paused: true}, "", ""},
		"others made a new one":     {states(start), Stack{Secrets: map[string]Observation{"stripe-webhook": {Offered: "bbbb"}}}, "stripe-webhook", ""},
		"others made none":          {states(start), Stack{Request: Request{Secret: "stripe-webhook", ID: "1"}}, "", "others make this secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := testPolicy.Plan(test.states, test.stack, start)
			got, says := "", ""
			for _, s := range r.States {
				if !s.Idle() {
					got += s.Secret
				}
				says += s.LastError
			}
			if got != test.want || len(says) < len(test.says) || says[:len(test.says)] != test.says {
				t.Errorf("rotates %q and says %q", got, says)
			}
			if got == "" && !test.stack.Paused && !test.stack.Rollout && !test.stack.RolloutWaits && r.Wake.IsZero() {
				t.Error("nothing wakes the operator when a secret is due")
			}
		})
	}
}

// TestARequestIsAnsweredOnce however often it is read.
func TestARequestIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(1, KindIdentityKeys)
	m.stack.Request = Request{Secret: string(KindIdentityKeys), ID: "1"}
	w := m.worlds[string(KindIdentityKeys)]
	for range 200 {
		m.visit(all)
		w.pods[0] = w.want
		m.tick()
	}
	if s := m.states[0]; s.Active != "2" || s.Request != "1" || !s.Idle() {
		t.Errorf("%+v", s)
	}
}

func TestARolloutThatWaitsGoesBeforeWhatNobodyNoticed(t *testing.T) {
	t.Parallel()
	m := newMachine(2, KindEncryptionKeys)
	m.now = start.Add(testPolicy.Interval)
	m.visit(all)
	if m.states[0].Stage != StageGenerating || MovesPods(m.states) {
		t.Fatalf("%+v", m.states[0])
	}
	m.stack.RolloutWaits = true
	for range 3 {
		m.visit(all)
	}
	if s := m.states[0]; !s.Idle() || s.Failures != 0 || s.LastError != "" || len(m.worlds[s.Secret].vault) != 1 {
		t.Errorf("%+v, vault %v", s, m.worlds[s.Secret].vault)
	}
}

func TestOldest(t *testing.T) {
	t.Parallel()
	if _, found := Oldest(nil); found {
		t.Error("nothing has an oldest")
	}
	if s, _ := Oldest([]State{New("b", KindLogin, start), New("a", KindLogin, start.Add(-time.Hour))}); s.Secret != "a" {
		t.Errorf("oldest is %s", s.Secret)
	}
}
