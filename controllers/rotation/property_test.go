package rotation

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var kinds = []Kind{KindLogin, KindCacheLogin, KindIdentityKeys, KindEncryptionKeys, KindWebhook, KindSigningKeys}

var testPolicy = Policy{}.WithDefaults()

var start = time.Unix(1_800_000_000, 0).UTC()

func newMachine(pods int, chosen ...Kind) *machine {
	m := &machine{policy: testPolicy, worlds: map[string]*world{}, now: start, stack: Stack{Key: "stack"}}
	for _, kind := range chosen {
		s := New(string(kind), kind, start)
		m.states = append(m.states, s)
		m.worlds[s.Secret] = newWorld(s, pods)
	}
	return m
}

// TestAnyInterleavingIsSafeAndEnds lets reconciliations die at every point,
// Jobs fail, pods move in any order, rollouts come and go and the clock run,
// and then lets everything work: each secret must come to rest, and nothing may
// have been noticed in between.
func TestAnyInterleavingIsSafeAndEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(kinds), 1, 3, rapid.ID[Kind]).Draw(t, "kinds")
		m := newMachine(rapid.IntRange(1, 4).Draw(t, "pods"), chosen...)
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			m.disturb(t)
			if fault := m.check(); fault != "" {
				t.Fatal(fault)
			}
		}
		m.calm(t)
	})
}

// disturb does one thing that can happen.
func (m *machine) disturb(t *rapid.T) {
	secret := rapid.SampledFrom(m.states).Draw(t, "secret").Secret
	switch rapid.SampledFrom([]string{"visit", "visit", "visit", "world", "world", "world", "clock", "long", "rollout", "request", "offer", "broken"}).Draw(t, "what") {
	case "visit":
		m.visit(rapid.SampledFrom([]int{0, 1, 2, 3, all, all}).Draw(t, "dies"))
	case "world":
		m.worlds[secret].step(t, true)
	case "clock":
		m.now = m.now.Add(time.Duration(rapid.IntRange(1, 900).Draw(t, "seconds")) * time.Second)
	case "long":
		m.now = m.now.Add(time.Duration(rapid.IntRange(1, 2500).Draw(t, "hours")) * time.Hour)
	case "rollout":
		// A rollout begins only while no pods move; it may wait at any time.
		m.stack.RolloutWaits = rapid.Bool().Draw(t, "waits")
		m.stack.Rollout = !MovesPods(m.states) && rapid.Bool().Draw(t, "moves")
	case "request":
		m.stack.Request = Request{Secret: secret, ID: rapid.StringMatching("[a-z]{2}").Draw(t, "id")}
	case "offer":
		m.worlds[secret].offered = ID(rapid.StringMatching("[0-9a-f]{4}").Draw(t, "offered"))
	case "broken":
		m.worlds[secret].broken = rapid.Bool().Draw(t, "is broken")
	}
}

// calm lets everything work until nothing changes any more.
func (m *machine) calm(t *rapid.T) {
	m.stack.Rollout, m.stack.RolloutWaits = false, false
	for _, w := range m.worlds {
		w.broken = false
	}
	for range 400 {
		m.visit(all)
		for _, w := range m.worlds {
			w.step(t, false)
		}
		if fault := m.check(); fault != "" {
			t.Fatal(fault)
		}
		m.tick()
		if rest, quiet := m.atRest(); rest && quiet {
			return
		}
	}
	t.Fatalf("no rest: %+v", m.states)
}

// tick lets time pass: pods that move need a minute each, waits are cut short.
func (m *machine) tick() {
	if MovesPods(m.states) {
		m.now = m.now.Add(time.Minute)
	} else {
		m.now = m.now.Add(time.Hour)
	}
}

// atRest reports whether nothing rotates, and whether another visit changes nothing.
func (m *machine) atRest() (rest, quiet bool) {
	rest = true
	for _, s := range m.states {
		w := m.worlds[s.Secret]
		rest = rest && s.Idle() && w.want == s.Content() && w.observe().Deployed == s.Content()
	}
	return rest, len(m.policy.Plan(m.states, m.observe(), m.now).Effects) == 0
}

// TestEveryCrashPointOfEveryKind is the same without chance: a reconciler that
// dies once, after n things were done, for every n there is.
func TestEveryCrashPointOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			visits := rotate(t, kind, -1, 0)
			for at := range visits {
				for keep := range 3 {
					rotate(t, kind, at, keep)
				}
			}
		})
	}
}

// rotate runs one rotation in which the visit of that number dies, and returns how many visits it took.
func rotate(t *testing.T, kind Kind, dies, keep int) int {
	t.Helper()
	m := newMachine(3, kind)
	w := m.worlds[string(kind)]
	w.offered = "ffff"
	m.now = start.Add(testPolicy.Interval)
	for visit := range 200 {
		if visit == dies {
			m.visit(keep)
		} else {
			m.visit(all)
		}
		for _, job := range w.jobs {
			if job.phase == JobRunning {
				w.finish(job, false)
			}
		}
		if i := visit % len(w.pods); w.pods[i] != w.want {
			w.pods[i] = w.want
		}
		if fault := m.check(); fault != "" {
			t.Fatalf("%s, dies at %d after %d: %s", kind, dies, keep, fault)
		}
		m.tick()
		if s := m.states[0]; s.Idle() && s.Active != New(string(kind), kind, start).Active {
			want := map[Kind]ID{KindLogin: "2b", KindCacheLogin: "2b", KindWebhook: "ffff"}[kind]
			if want == "" {
				want = "2"
			}
			if s.Active != want || s.LastError != "" || s.Content() != (Content{Use: want}) {
				t.Fatalf("%s ends as %+v", kind, s)
			}
			return visit
		}
	}
	t.Fatalf("%s, dies at %d after %d: no end: %+v", kind, dies, keep, m.states[0])
	return 0
}
