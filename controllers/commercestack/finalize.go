package commercestack

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// dataFinalizer is on stacks whose data goes with them, and only on those: with
// Retain there is nothing to do, so an operator that was removed first strands nothing.
const dataFinalizer = v1alpha1.Group + "/data"

// finalize keeps the finalizer as the deletion policy wants it, and deletes the
// data of a stack that is going.
func (v *visit) finalize(ctx context.Context) Result {
	needed := v.stack.Spec.DeletionPolicy == v1alpha1.DeletionDelete || v.stack.Spec.DeletionPolicy == v1alpha1.DeletionSnapshot
	present := controllerutil.ContainsFinalizer(v.stack, dataFinalizer)
	if v.stack.DeletionTimestamp.IsZero() {
		if v.pass.Dry() || needed == present {
			return Result{}
		}
		return failed(v.setFinalizer(ctx, needed))
	}
	if !present {
		v.gone = true
		return Result{Stop: true}
	}
	if needed {
		if v.stack.Spec.DeletionPolicy == v1alpha1.DeletionSnapshot {
			if result := v.snapshot(ctx); result.Err != nil || result.Stop {
				return result
			}
		}
		if err := v.deleteData(ctx); err != nil {
			return Result{Err: err, Stop: true}
		}
	}
	v.gone = true
	return Result{Err: v.setFinalizer(ctx, false), Stop: true}
}

func (v *visit) setFinalizer(ctx context.Context, wanted bool) error {
	changed := v.stack.DeepCopy()
	if wanted {
		controllerutil.AddFinalizer(changed, dataFinalizer)
	} else {
		controllerutil.RemoveFinalizer(changed, dataFinalizer)
	}
	patch := client.MergeFromWithOptions(v.stack, client.MergeFromWithOptimisticLock{})
	if err := v.Client.Patch(ctx, changed, patch, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("set the finalizer: %w", client.IgnoreNotFound(err))
	}
	changed.Status = v.stack.Status
	v.stack, v.in.Stack = changed, changed
	return nil
}

// deleteData deletes the volumes and the vault. Volumes in use go when their pods
// have gone, which they do as soon as the stack is gone.
func (v *visit) deleteData(ctx context.Context) error {
	claims, err := v.claims(ctx)
	if err != nil {
		return err
	}
	for i := range claims {
		if err := v.Client.Delete(ctx, &claims[i]); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete volume claim %s: %w", claims[i].Name, err)
		}
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v.stack.Namespace, Name: desired.VaultName(v.stack.Name)}}
	if err := v.Client.Delete(ctx, secret); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete the vault: %w", err)
	}
	return nil
}

// claims are the volume claims of the stack, read live: they are not cached.
func (v *visit) claims(ctx context.Context) ([]corev1.PersistentVolumeClaim, error) {
	list := &corev1.PersistentVolumeClaimList{}
	labels := client.MatchingLabels{desired.LabelInstance: v.stack.Name, desired.LabelName: desired.AppName}
	if err := v.Live.List(ctx, list, client.InNamespace(v.stack.Namespace), labels); err != nil {
		return nil, fmt.Errorf("list volume claims: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(claim corev1.PersistentVolumeClaim) bool { return claim.DeletionTimestamp != nil }), nil
}

// missing says whether a read found nothing.
func missing(err error) bool { return apierrors.IsNotFound(err) }
