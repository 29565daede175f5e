package commercestack

import (
	"context"
	"hash/fnv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/apply"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/commercestack/vault"
	"github.com/commercestack/commercestack/controllers/rotation"
	"github.com/commercestack/commercestack/controllers/saleevent"
)

// visit is one look at one stack. It is made anew each time and holds what
// phases tell each other.
type visit struct {
	*Reconciler
	// stack as it was read; never changed.
	stack *v1alpha1.CommerceStack
	// status as it will be.
	status v1alpha1.CommerceStackStatus
	// in is the input of the builders.
	in desired.Input
	// pass names and applies objects.
	pass    *apply.Pass
	now     time.Time
	outcome Outcome
	// references are the data of the Secrets that the spec names.
	references map[string]map[string][]byte
	// vault is open once the phase of that name ran; vaultSecret is what it was read from.
	vault       vault.Vault
	vaultSecret *corev1.Secret
	// states of the secrets that rotate, as they are stored in the vault.
	states []rotation.State
	// supposed are contents that stand in for those of the states, to find out what
	// Secrets with them would be called.
	supposed map[string]rotation.Content
	// rotatingNow are the secrets that rotate, with what the store has of them.
	rotatingNow []vault.Secret
	// given is what the store has of secrets, storeProblems what is wrong with it.
	given         map[string][]byte
	storeProblems []string
	// answering is the Secret of the certificate that a request is carried out for.
	answering string
	// certificatesFailed says that SecretsCurrent tells of certificates already.
	certificatesFailed bool
	// notes are events to send once the status is stored.
	notes []note
	// gone says that the stack needs no status any more.
	gone bool
	// roll is what is known of the stack's rollouts.
	roll rolling
	// rotationMovesPods says that a rotation replaces consumers: no rollout begins.
	rotationMovesPods bool
	// bootstrapping says that the first administrator is not there yet.
	bootstrapping bool
	// sale is what running SaleEvents change.
	sale saleevent.Overlay
	// newborn says that the choices of a lifetime were made in this visit.
	newborn bool
}

func (r *Reconciler) begin(stack *v1alpha1.CommerceStack) *visit {
	dry := stack.Spec.ReconcilePolicy == v1alpha1.ReconcilePaused || stack.Spec.ReconcilePolicy == v1alpha1.ReconcileObserve
	v := &visit{
		Reconciler: r, stack: stack, status: *stack.Status.DeepCopy(), now: r.Clock.Now(),
		pass: r.applier.Begin(stack, dry), references: map[string]map[string][]byte{},
	}
	v.status.Pending = nil
	capabilities, watched := r.foreign.capabilities()
	if !watched {
		v.outcome.Add("watch", after(settleTime))
	}
	v.in = desired.Input{
		Stack: stack, Images: r.Images, RenderRevision: v.status.RenderRevision, PostgresMode: v.status.PostgresMode,
		Secrets:      desired.Secrets{Components: map[v1alpha1.ComponentName]string{}},
		Capabilities: capabilities, OperatorNamespace: r.Namespace, PrometheusURL: r.PrometheusURL,
	}
	if stack.Spec.RenderRevision != nil {
		v.in.RenderRevision = *stack.Spec.RenderRevision
	}
	return v
}

// set gives a condition its value.
func (v *visit) set(condition string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&v.status.Conditions, metav1.Condition{
		Type: condition, Status: status, Reason: reason, Message: message,
		ObservedGeneration: v.stack.Generation, LastTransitionTime: metav1.NewTime(v.now.Truncate(time.Second)),
	})
}

// is says whether a condition is True.
func (v *visit) is(condition string) bool {
	return meta.IsStatusConditionTrue(v.status.Conditions, condition)
}

// applyAll applies objects in order and goes on after an error, so that one bad
// object does not hold up the others.
func (v *visit) applyAll(ctx context.Context, objects ...runtime.ApplyConfiguration) Result {
	var outcome Outcome
	for _, object := range objects {
		outcome.Add("apply", failed(v.pass.Apply(ctx, object)))
	}
	return failed(outcome.Err())
}

// instance selects what belongs to the stack.
func (v *visit) instance() client.MatchingLabels {
	return client.MatchingLabels{desired.LabelInstance: v.stack.Name, desired.LabelManagedBy: desired.ManagedBy}
}

// nextVisit is when somebody wants to look again, and in the end the slow
// resync, spread by the stack's identity so that stacks do not come all at once.
func (v *visit) nextVisit() time.Duration {
	if v.outcome.requeue > 0 {
		return v.outcome.requeue
	}
	spread := fnv.New32a()
	_, _ = spread.Write([]byte(v.stack.UID))
	return resync + time.Duration(spread.Sum32()%uint32((resync/2).Seconds()))*time.Second
}

// wakeAt asks for a visit at a time.
func (v *visit) wakeAt(at time.Time) Result { return after(max(at.Sub(v.now), time.Second)) }
