package commercestack

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/apply"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/notify"
	"github.com/commercestack/commercestack/controllers/rollout"
)

// rotationPoll is how often a rollout looks whether the rotation it waits for ended.
const rotationPoll = 5 * time.Second

// stateKey is where the state stands in its object.
const stateKey = "state.json"

// stored is what the object of a stack's rollouts holds.
type stored struct {
	// State of the machine.
	State rollout.State `json:"state"`
	// Layout of the running rollout.
	Layout layout `json:"layout"`
	// Waited is how long the running rollout waited for people.
	Waited time.Duration `json:"waited,omitempty"`
	// Mailboxes of the receivers of notices.
	Mailboxes []notify.Mailbox `json:"mailboxes,omitempty"`
}

// rolling is what a visit knows of the stack's rollouts.
type rolling struct {
	stored
	// object that holds it, nil when there is none yet.
	object *corev1.ConfigMap
	// revision of the spec.
	revision string
	// records by revision.
	records map[string]record
	// inputs of revisions that were rendered in this visit.
	inputs  map[string]desired.Input
	policy  rollout.Policy
	effects []rollout.Effect
	// deployments and pods as they are; live while a rollout runs.
	deployments deploymentSet
	pods        []corev1.Pod
	// migrated is the Job of the target's migration, nil when there is none.
	migrated *batchv1.Job
	// look is when something is to be looked at again that nobody tells; zero for never.
	look time.Duration
}

// rolloutActive reports whether pods are, or are about to be, of two revisions:
// no rotation begins to move pods then.
func (v *visit) rolloutActive() bool { return v.roll.State.Active() }

// rolloutWaiting reports whether a rollout would begin if no rotation moved pods:
// a rotation that no consumer noticed yet gives way.
func (v *visit) rolloutWaiting() bool { return v.roll.State.Waiting() }

func rolloutName(stack string) string { return desired.ObjectName(stack, "rollout") }

// openRollout reads the state of the stack's rollouts, past the cache: what is
// done next must follow from what was stored last.
func (v *visit) openRollout(ctx context.Context) Result {
	revision, err := desired.RevisionOf(v.in)
	if err != nil {
		return stalledStop("InvalidSpec", "spec.services: %v", err)
	}
	v.roll.revision, v.roll.inputs = revision, map[string]desired.Input{}
	v.status.UpdateRevision = revision
	v.pass.Name(kindConfigMap, v.stack.Namespace, rolloutName(v.stack.Name))
	if v.roll.records, err = v.records(ctx); err != nil {
		return Result{Err: err, Stop: true}
	}
	object := &corev1.ConfigMap{}
	err = v.Live.Get(ctx, v.key(rolloutName(v.stack.Name)), object)
	switch {
	case err == nil:
		if err := json.Unmarshal([]byte(object.Data[stateKey]), &v.roll.stored); err != nil {
			return stalledStop("StateBroken", "ConfigMap %s cannot be read (%v): restore it, or delete it to have what runs taken as current", object.Name, err)
		}
		v.roll.object = object
	case missing(err) && v.status.CurrentRevision != "":
		if v.roll.State, err = v.adopt(ctx); err != nil {
			return Result{Err: err, Stop: true}
		}
		if err := v.storeRollout(ctx, v.roll.stored); err != nil {
			return Result{Err: err, Stop: true}
		}
	case missing(err):
	default:
		return Result{Err: fmt.Errorf("read the state of rollouts: %w", err), Stop: true}
	}
	if !v.roll.State.Active() {
		v.roll.Layout = v.layoutOf(v.roll.State.Current == "", v.routesRead(v.roll.State.Current))
	}
	v.roll.policy = v.policyOf(v.roll.Layout)
	return Result{}
}

// routesRead reports whether the gateways of a revision read the routing table.
func (v *visit) routesRead(revision string) bool {
	if revision == v.roll.revision {
		return desired.ReadsRoutes(v.in)
	}
	r, ok := v.roll.records[revision]
	return ok && desired.ReadsRoutes(r.snapshot.Restore(v.in))
}

// storeRollout stores the state. Two writers cannot both win.
func (v *visit) storeRollout(ctx context.Context, next stored) error {
	v.roll.stored = next
	if v.pass.Dry() {
		return nil
	}
	content, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("store the state of rollouts: %w", err)
	}
	object, verb := &corev1.ConfigMap{}, apply.Updated
	if v.roll.object != nil {
		object = v.roll.object.DeepCopy()
	} else {
		object.Namespace, object.Name, verb = v.stack.Namespace, rolloutName(v.stack.Name), apply.Created
	}
	labels := desired.Labels(v.in, "rollout")
	delete(labels, desired.LabelVersion)
	object.Labels = merge(object.Labels, labels)
	object.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(v.stack, v1alpha1.GroupVersion.WithKind("CommerceStack"))}
	object.Data = map[string]string{stateKey: string(content)}
	if verb == apply.Created {
		err = v.Client.Create(ctx, object, client.FieldOwner(FieldManager))
	} else {
		err = v.Client.Update(ctx, object, client.FieldOwner(FieldManager))
	}
	if err != nil {
		return fmt.Errorf("store the state of rollouts: %w", err)
	}
	v.roll.object = object
	return nil
}

// rollout moves the stack's rollout on: it looks, decides, and stores what was
// decided before anything is done about it.
func (v *visit) rollout(ctx context.Context) Result {
	o, err := v.observe(ctx)
	if err != nil {
		return Result{Err: err, Stop: true}
	}
	before := v.roll.State
	state := before
	if v.migrationRemoved() {
		state.Held = "" // whoever deleted the failed Job wants it to run again
	}
	next := v.roll.stored
	next.State, v.roll.effects = v.roll.policy.Next(state, o, v.now)
	changed := !reflect.DeepEqual(before, next.State)
	if changed {
		next.Waited = waited(v.roll.stored, next.State, v.now)
		next.Mailboxes = v.post(next.Mailboxes, before, next.State)
		if err := v.storeRollout(ctx, next); err != nil {
			return Result{Err: err, Stop: true}
		}
		v.countRollout(before)
	}
	var outcome Outcome
	outcome.Add("record", v.record(ctx))
	v.tell()
	v.noteRollout()
	switch {
	case v.pass.Dry():
	case v.rolloutWaiting() && v.rotationMovesPods:
		outcome.Add("look", after(rotationPoll))
	case changed || v.roll.effected(rollout.EffectRecord):
		outcome.requeue = 1
	default:
		if at := v.roll.policy.Wake(v.roll.State, v.now); !at.IsZero() {
			outcome.Add("wake", v.wakeAt(at))
		}
		outcome.Add("look", after(v.roll.look))
	}
	return Result{Err: outcome.Err(), RequeueAfter: outcome.requeue}
}

// effected reports whether an effect of a kind is to be carried out.
func (r *rolling) effected(kind rollout.EffectKind) bool {
	return slices.ContainsFunc(r.effects, func(e rollout.Effect) bool { return e.Kind == kind })
}

// waited adds the time in a phase that waited for people.
func waited(before stored, next rollout.State, now time.Time) time.Duration {
	total := before.Waited
	if !before.State.StartedAt.Equal(next.StartedAt) {
		return 0
	}
	left := before.State.Phase != next.Phase
	if left && (before.State.Phase == rollout.PhasePaused || before.State.Phase == rollout.PhaseAwaitingApproval) {
		total += now.Sub(before.State.Since)
	}
	return total
}

// record keeps what revisions are made of: of the one that begins, and of the
// one that serves should its record be gone.
func (v *visit) record(ctx context.Context) Result {
	begins := v.roll.effected(rollout.EffectRecord) && v.roll.State.Target == v.roll.revision
	if begins || v.roll.State.Current == v.roll.revision {
		if err := v.keepRecord(ctx, v.roll.revision, desired.SnapshotOf(v.in)); err != nil {
			return failed(err)
		}
	}
	if v.roll.State.Ended() {
		return failed(v.forgetRecords(ctx))
	}
	return Result{}
}

// assignments are what each wave runs. A visit that changes nothing looks at
// what the spec would bring.
func (v *visit) assignments() []rollout.Assignment {
	assignments := v.roll.State.Assignments(v.roll.policy)
	if v.pass.Dry() {
		for i := range assignments {
			assignments[i] = rollout.Assignment{Wave: i, Stable: v.roll.revision}
		}
	}
	return assignments
}
