package rotation

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// world is what rotation happens in: a vault, roles, Jobs and consumers whose
// pods are replaced one by one. It checks what people would notice at every change.
type world struct {
	kind Kind
	// vault and archive hold versions; roles hold the version whose password a role has.
	vault, archive []ID
	roles          map[string]ID
	jobs           map[string]*worldJob
	order          []string
	// want is the content that was published last, pods what each pod has.
	want Content
	pods []Content
	// sealed are the versions that stored fields need.
	sealed  map[ID]bool
	offered ID
	// broken pods do not become ready with a new version.
	broken bool
	faults string
}

type worldJob struct {
	Job

	phase JobPhase
}

func newWorld(s State, pods int) *world {
	w := &world{
		kind: s.Kind, vault: []ID{s.Active}, roles: map[string]ID{s.Active.Slot(): s.Active}, jobs: map[string]*worldJob{},
		want: Content{Use: s.Active}, sealed: map[ID]bool{s.Active: true}, offered: s.Active,
	}
	for range pods {
		w.pods = append(w.pods, w.want)
	}
	return w
}

// observe is what the operator finds.
func (w *world) observe() Observation {
	o := Observation{Vault: slices.Clone(w.vault), Jobs: map[string]JobObservation{}, Offered: w.offered}
	for id, job := range w.jobs {
		o.Jobs[id] = JobObservation{Phase: job.phase, Message: "it was told to fail"}
	}
	if !slices.ContainsFunc(w.pods, func(c Content) bool { return c != w.want }) {
		o.Deployed = w.want
	}
	return o
}

// carryOut does one effect.
func (w *world) carryOut(e Effect) {
	switch e.Kind {
	case EffectGenerate, EffectAdopt:
		if !slices.Contains(w.vault, e.Version) {
			w.vault = append(w.vault, e.Version)
		}
	case EffectErase:
		w.vault = slices.DeleteFunc(w.vault, func(id ID) bool { return id == e.Version })
	case EffectArchive:
		w.vault = slices.DeleteFunc(w.vault, func(id ID) bool { return id == e.Version })
		w.archive = append(w.archive, e.Version)
	case EffectPublish:
		w.want = e.Content
	case EffectRunJob:
		if w.jobs[e.Job.ID] == nil {
			w.jobs[e.Job.ID] = &worldJob{Job: e.Job, phase: JobRunning}
			w.order = append(w.order, e.Job.ID)
		}
	case EffectStopJob:
		delete(w.jobs, e.Job.ID)
	}
}

// step lets the world go on by one small change.
func (w *world) step(t *rapid.T, mayFail bool) {
	var running []*worldJob
	for _, id := range w.order {
		if job := w.jobs[id]; job != nil && job.phase == JobRunning {
			running = append(running, job)
		}
	}
	var stale []int
	for i, c := range w.pods {
		if c != w.want && (!w.broken || w.want.Use == w.pods[i].Use) {
			stale = append(stale, i)
		}
	}
	switch n := len(running) + len(stale); {
	case n == 0:
	case len(running) > 0 && (len(stale) == 0 || rapid.Bool().Draw(t, "job first")):
		w.finish(running[rapid.IntRange(0, len(running)-1).Draw(t, "job")], mayFail && rapid.IntRange(0, 3).Draw(t, "fails") == 0)
	default:
		w.pods[stale[rapid.IntRange(0, len(stale)-1).Draw(t, "pod")]] = w.want
	}
}

// finish ends a Job; one that fails may have done its work before.
func (w *world) finish(job *worldJob, fails bool) {
	job.phase = JobSucceeded
	if fails {
		job.phase = JobFailed
	}
	switch job.Verb {
	case VerbSetLogin:
		w.roles[job.Version.Slot()] = job.Version
	case VerbRetireLogin:
		if slices.ContainsFunc(w.pods, func(c Content) bool { return c.Use == job.Version }) {
			// Sessions of the role are alive.
			job.phase = JobFailed
			w.faults = fmt.Sprintf("login %s is retired while a pod uses it", job.Version)
			return
		}
		delete(w.roles, job.Version.Slot())
	case VerbRewrite:
		if !fails {
			w.sealed = map[ID]bool{job.Version: true}
		}
	}
}

// check finds what people would notice.
func (w *world) check() string {
	if w.faults != "" {
		return w.faults
	}
	for i, c := range w.pods {
		if w.kind != KindSigningKeys && !slices.Contains(w.vault, c.Use) {
			return fmt.Sprintf("pod %d uses %s, which left the vault %v", i, c.Use, w.vault)
		}
		switch w.kind {
		case KindLogin, KindCacheLogin:
			if w.roles[c.Use.Slot()] != c.Use {
				return fmt.Sprintf("pod %d logs in with %s, the role has %q", i, c.Use, w.roles[c.Use.Slot()])
			}
		case KindIdentityKeys, KindEncryptionKeys:
			for j, other := range w.pods {
				if c.Use != other.Use && c.Use != other.Accept {
					return fmt.Sprintf("pod %d has %v and refuses pod %d with %v", j, other, i, c)
				}
			}
		case KindWebhook, KindSigningKeys:
		}
		if w.kind == KindEncryptionKeys {
			w.sealed[c.Use] = true
		}
	}
	for id := range w.sealed {
		for i, c := range w.pods {
			if w.kind == KindEncryptionKeys && c.Use != id && c.Accept != id {
				return fmt.Sprintf("pod %d with %v cannot open a field of %s", i, c, id)
			}
		}
	}
	return ""
}

// machine runs Plan over a world and forgets things as a crash does.
type machine struct {
	policy Policy
	states []State
	worlds map[string]*world
	stack  Stack
	now    time.Time
}

func (m *machine) observe() Stack {
	stack := m.stack
	stack.Secrets = map[string]Observation{}
	for secret, w := range m.worlds {
		stack.Secrets[secret] = w.observe()
	}
	return stack
}

// visit is one reconciliation that dies after keep things were done: 0 before
// the states were stored, 1 after, 2 after the first effect and so on.
func (m *machine) visit(keep int) Result {
	r := m.policy.Plan(m.states, m.observe(), m.now)
	if keep > 0 {
		m.states = r.States
	}
	for i, e := range r.Effects {
		if keep > i+1 {
			m.worlds[e.Secret].carryOut(e)
		}
	}
	return r
}

// all never dies.
const all = 1 << 30

func (m *machine) check() string {
	running := 0
	for _, s := range m.states {
		if !s.Idle() {
			running++
		}
		for i, c := range m.worlds[s.Secret].pods {
			if s.Kind == KindCacheLogin && !slices.Contains(s.Logins(), c.Use) {
				return fmt.Sprintf("pod %d uses %s, which a restarted server does not know in %s: %v", i, c.Use, s.Stage, s.Logins())
			}
		}
		if fault := m.worlds[s.Secret].check(); fault != "" {
			return fmt.Sprintf("%s in %s: %s", s.Secret, s.Stage, fault)
		}
	}
	if running > 1 {
		return fmt.Sprintf("%d secrets rotate at once", running)
	}
	return ""
}
