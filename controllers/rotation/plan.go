package rotation

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"
)

// Request is a person's wish to rotate one secret now.
type Request struct {
	// Secret as in status.secrets.
	Secret string
	// ID of the request: each is taken up once.
	ID string
}

// Stack is what all secrets of a stack share.
type Stack struct {
	// Key names the stack, such as its UID: the same key always gives the same jitter.
	Key string
	// Secrets are the observations by secret.
	Secrets map[string]Observation
	// Rollout is true while a rollout moves pods, RolloutWaits while one waits for the rotation.
	Rollout, RolloutWaits bool
	// Paused changes nothing.
	Paused bool
	// Request is the newest request, zero for none.
	Request Request
}

// Result of Plan.
type Result struct {
	// States are the new states in the order of the old ones, to be stored before
	// the effects are carried out.
	States []State
	// Effects in order.
	Effects []Effect
	// Wake is when Plan should be called again if nothing happens before; zero for never.
	Wake time.Time
}

// Plan moves a stack's secrets on: the one that rotates, or else the one whose
// turn it is. Called again with its own states and the same observations, it
// ends in a state that does not change.
func (p Policy) Plan(states []State, stack Stack, now time.Time) Result {
	states = slices.Clone(states)
	if stack.Paused {
		return Result{States: states}
	}
	i := slices.IndexFunc(states, func(s State) bool { return !s.Idle() })
	if i < 0 {
		i = p.choose(states, stack, now)
	} else {
		states = answerRunning(states, i, stack.Request)
	}
	r := Result{States: states}
	if i >= 0 {
		r.States[i], r.Effects = p.Next(states[i], stack.observation(states[i]), now)
		r.Wake = p.Wake(r.States[i], now)
	}
	if i < 0 || r.States[i].Idle() {
		for _, s := range r.States {
			if s.Kind == KindWebhook {
				continue
			}
			at := p.Due(s, stack.Key)
			if stack.observation(s).Stored {
				at = s.RetryAt // it has no schedule, but may have failed
			}
			if at.After(now) && (r.Wake.IsZero() || at.Before(r.Wake)) {
				r.Wake = at
			}
		}
	}
	return r
}

// choose begins the rotation whose turn it is: the requested one, else the one
// that is due longest. It returns -1 when nothing begins.
func (p Policy) choose(states []State, stack Stack, now time.Time) int {
	if stack.Rollout || stack.RolloutWaits {
		return -1
	}
	for i, s := range states {
		if s.Secret != stack.Request.Secret || stack.Request.ID == "" || s.Request == stack.Request.ID {
			continue
		}
		states[i].Request = stack.Request.ID
		if !ready(s, stack.observation(s)) {
			states[i].LastError = refusal(stack.observation(s))
			continue
		}
		states[i] = states[i].begin(stack.observation(s), now)
		return i
	}
	chosen := -1
	for i, s := range states {
		due := !p.Due(s, stack.Key).After(now) || s.Kind == KindWebhook || stack.observation(s).Stored
		if !due || now.Before(s.RetryAt) || !ready(s, stack.observation(s)) {
			continue
		}
		if chosen < 0 || p.Due(s, stack.Key).Before(p.Due(states[chosen], stack.Key)) {
			chosen = i
		}
	}
	if chosen >= 0 {
		states[chosen] = states[chosen].begin(stack.observation(states[chosen]), now)
	}
	return chosen
}

// ready reports whether there is something to rotate to.
func ready(s State, o Observation) bool {
	if o.Stored {
		return o.Changed
	}
	return s.Kind != KindWebhook || (o.Offered != "" && o.Offered != s.Active)
}

// refusal says why a request begins nothing.
func refusal(o Observation) string {
	if o.Stored {
		return "this secret comes from a store: change it there, then it is rotated"
	}
	return "others make this secret: put the new one into its Secret, then it is rotated"
}

// answerRunning takes a request for the secret that rotates already as answered.
func answerRunning(states []State, running int, request Request) []State {
	if request.ID != "" && states[running].Secret == request.Secret {
		states[running].Request = request.ID
	}
	return states
}

func (stack Stack) observation(s State) Observation {
	o := stack.Secrets[s.Secret]
	o.Rollout, o.RolloutWaits = stack.Rollout, stack.RolloutWaits
	return o
}

// Due is when a secret is to be rotated: the interval after it came into use,
// and up to a tenth of it earlier, so that the secrets of a stack, and those of
// many stacks, do not all change at once.
func (p Policy) Due(s State, key string) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key + "/" + s.Secret)) // never fails
	jitter := time.Duration(h.Sum64() % uint64(max(p.Interval/10, 1)))
	due := s.ActiveSince.Add(p.Interval - jitter)
	if s.RetryAt.After(due) {
		return s.RetryAt
	}
	return due
}

// MovesPods reports whether a rotation is replacing consumers: no rollout begins then.
func MovesPods(states []State) bool { return slices.ContainsFunc(states, State.MovesPods) }

// Oldest is the secret that has been in use longest, for the metric of ages.
func Oldest(states []State) (State, bool) {
	if len(states) == 0 {
		return State{}, false
	}
	return slices.MinFunc(states, func(a, b State) int {
		return cmp.Or(a.ActiveSince.Compare(b.ActiveSince), cmp.Compare(a.Secret, b.Secret))
	}), true
}
