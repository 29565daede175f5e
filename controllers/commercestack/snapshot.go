package commercestack

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// snapshotPoll is how often a snapshot is looked at while it is taken.
const snapshotPoll = 5 * time.Second

// snapshot takes a snapshot of each volume and waits until all can be used.
func (v *visit) snapshot(ctx context.Context) Result {
	if !v.foreign.has(kindSnapshot) {
		return stalledStop("SnapshotUnavailable", "deletionPolicy is Snapshot, but the cluster has no VolumeSnapshot: "+
			"install a CSI driver with snapshots, or set deletionPolicy to Retain or Delete to let the stack go")
	}
	claims, err := v.claims(ctx)
	if err != nil {
		return Result{Err: err, Stop: true}
	}
	for i := range claims {
		ready, err := v.snapshotOf(ctx, claims[i].Name)
		if err != nil {
			return Result{Err: err, Stop: true}
		}
		if !ready {
			return Result{RequeueAfter: snapshotPoll, Stop: true}
		}
	}
	return Result{}
}

// snapshotOf makes sure of one snapshot, which belongs to nobody so that it stays.
func (v *visit) snapshotOf(ctx context.Context, claim string) (ready bool, err error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(kindSnapshot)
	key := client.ObjectKey{Namespace: v.stack.Namespace, Name: claim + "-" + desired.Hash(string(v.stack.UID))}
	err = v.Live.Get(ctx, key, found)
	if missing(err) {
		found.SetNamespace(key.Namespace)
		found.SetName(key.Name)
		found.SetLabels(map[string]string{desired.LabelName: desired.AppName, desired.LabelInstance: v.stack.Name})
		found.Object["spec"] = map[string]any{"source": map[string]any{"persistentVolumeClaimName": claim}}
		err = v.Client.Create(ctx, found, client.FieldOwner(FieldManager))
		if apierrors.IsAlreadyExists(err) {
			err = nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("take a snapshot of %s: %w", claim, err)
	}
	ready, _, _ = unstructured.NestedBool(found.Object, "status", "readyToUse")
	return ready, nil
}
