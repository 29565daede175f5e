package commercestack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// The reasons of conditions that several phases use.
const (
	reasonReady       = "Ready"
	reasonWaiting     = "Waiting"
	reasonProgressing = "Progressing"
	reasonFailed      = "Failed"
	reasonSkipped     = "Skipped"
	reasonPaused      = "Paused"
	reasonObserving   = "Observing"
	reasonManaged     = "Managed"
	reasonUnknown     = "NotVisited"
	reasonNone        = "None"
)

// maxPending is how many pending objects the status lists.
const maxPending = 64

// vital are the conditions that make a stack Ready.
var vital = []string{
	v1alpha1.ConditionPostgresReady, v1alpha1.ConditionRedisReady, v1alpha1.ConditionMigrationsApplied, v1alpha1.ConditionServicesAvailable,
}

// finish sums up, stores the status if it changed, and tells what happened.
func (v *visit) finish(ctx context.Context) error {
	before := v.stack.Status.DeepCopy()
	v.fillConditions()
	v.summarise()
	v.listPending()
	if v.stack.Spec.ReconcilePolicy == v1alpha1.ReconcilePaused && !v.newborn {
		v.onlyPause(before)
	} else {
		v.status.ObservedGeneration = v.stack.Generation
	}
	v.measure()
	if equality.Semantic.DeepEqual(*before, v.status) {
		v.sendEvents(before.Conditions)
		return nil
	}
	changed := v.stack.DeepCopy()
	changed.Status = v.status
	patch := client.MergeFromWithOptions(v.stack, client.MergeFromWithOptimisticLock{})
	if err := v.Client.Status().Patch(ctx, changed, patch, client.FieldOwner(FieldManager)); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("store the status: %w", err)
	}
	v.written.note(changed)
	v.sendEvents(before.Conditions)
	return nil
}

// fillConditions gives each condition that no phase reached a value.
func (v *visit) fillConditions() {
	for _, name := range v1alpha1.ConditionTypes {
		if meta.FindStatusCondition(v.status.Conditions, name) == nil {
			v.set(name, metav1.ConditionUnknown, reasonUnknown, "Not looked at yet.")
		}
	}
	slices.SortStableFunc(v.status.Conditions, func(a, b metav1.Condition) int {
		return slices.Index(v1alpha1.ConditionTypes, a.Type) - slices.Index(v1alpha1.ConditionTypes, b.Type)
	})
}

// summarise sets Ready, Reconciling and Stalled from what the phases found.
func (v *visit) summarise() {
	if v.newborn {
		v.set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, reasonProgressing, "The stack was accepted.")
		return
	}
	waiting, reason := v.waitingFor()
	switch {
	case v.outcome.stalled != nil:
		terminal := v.outcome.stalled
		v.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, terminal.Reason, terminal.Message)
		v.set(v1alpha1.ConditionReconciling, metav1.ConditionFalse, terminal.Reason, "Nothing happens until the cause of Stalled is removed.")
		v.set(v1alpha1.ConditionReady, metav1.ConditionFalse, terminal.Reason, terminal.Message)
		return
	case waiting != "":
		v.set(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, waiting)
		v.set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason, waiting)
	default:
		v.set(v1alpha1.ConditionReady, metav1.ConditionTrue, reasonReady, "Serving at "+v.status.URL+".")
		v.summariseRollout()
	}
	if reason, message, held := v.held(); held && v.outcome.Err() == nil {
		v.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, reason, message+".")
		v.set(v1alpha1.ConditionReconciling, metav1.ConditionFalse, reason, "Nothing happens until the cause of Stalled is removed.")
		return
	}
	if err := v.outcome.Err(); err != nil {
		v.set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, "Retrying", err.Error())
	}
	v.set(v1alpha1.ConditionStalled, metav1.ConditionFalse, reasonNone, "")
}

// summariseRollout says whether a stack that serves is still on its way.
func (v *visit) summariseRollout() {
	for _, name := range []string{v1alpha1.ConditionAwaitingApproval, v1alpha1.ConditionRollingOut} {
		if v.is(name) {
			found := meta.FindStatusCondition(v.status.Conditions, name)
			v.set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, name, found.Message)
			return
		}
	}
	if s := v.roll.State; !s.Ended() {
		message := fmt.Sprintf("Revision %s (version %s) is %s", s.Target, v.versionOf(s.Target), strings.ToLower(string(s.Phase)))
		if s.Message != "" {
			message += ": " + s.Message
		}
		v.set(v1alpha1.ConditionReconciling, metav1.ConditionTrue, string(s.Phase), message+".")
		return
	}
	v.set(v1alpha1.ConditionReconciling, metav1.ConditionFalse, reasonNone, "")
}

// waitingFor is the first vital condition that is not True. While a new revision
// is migrated to or rolled out, or failed, the old one still serves: that is no
// loss of Ready.
func (v *visit) waitingFor() (message, reason string) {
	for _, name := range vital {
		condition := meta.FindStatusCondition(v.status.Conditions, name)
		if condition.Status == metav1.ConditionTrue {
			continue
		}
		if name == v1alpha1.ConditionMigrationsApplied && v.status.CurrentRevision != "" {
			continue
		}
		return name + ": " + condition.Message, condition.Reason
	}
	if v.bootstrapping {
		return "The first administrator is being made.", "Bootstrapping"
	}
	return "", ""
}

// listPending tells what a visit that changes nothing would have changed.
func (v *visit) listPending() {
	if !v.pass.Dry() {
		return
	}
	for _, change := range v.pass.Changes() {
		entry := strings.TrimSuffix(change.Verb, "d") + " " + change.String()
		if len(v.status.Pending) < maxPending && !slices.Contains(v.status.Pending, entry) {
			v.status.Pending = append(v.status.Pending, entry)
		}
	}
}

// onlyPause keeps the status of a paused stack as it was, but for what is pending.
func (v *visit) onlyPause(before *v1alpha1.CommerceStackStatus) {
	paused := meta.FindStatusCondition(v.status.Conditions, v1alpha1.ConditionPaused)
	pending := v.status.Pending
	v.status = *before.DeepCopy()
	v.status.Pending = pending
	meta.SetStatusCondition(&v.status.Conditions, *paused)
}
