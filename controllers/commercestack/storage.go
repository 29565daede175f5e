package commercestack

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/measure"
)

const (
	// volumeLow is the part of the volume below which people are told.
	volumeLow = 0.20
	// volumeEnough is the part above which all is well again; between the two nothing changes.
	volumeEnough = 0.25
	// volumeLookEvery is how often the volume is looked at, and volumeWatchEvery how often when it is short.
	volumeLookEvery  = 90 * time.Second
	volumeWatchEvery = 15 * time.Second
)

// Reasons of the condition StorageHealthy.
const (
	reasonVolumeEnough      = "Enough"
	reasonVolumeLow         = "VolumeNearlyFull"
	reasonVolumeFull        = "VolumeFull"
	reasonVolumeNotMeasured = "NotMeasured"
)

// storage says whether the volume of the database has room. Its pods know from the
// server; nothing is asked of nodes, so that no right to look into them is needed.
func (v *visit) storage(ctx context.Context) Result {
	if v.in.PostgresMode != v1alpha1.DataStatefulSet {
		v.set(v1alpha1.ConditionStorageHealthy, metav1.ConditionUnknown, reasonVolumeNotMeasured,
			"The operator does not run this PostgreSQL: whoever does knows its volume.")
		return Result{}
	}
	if !desired.TellsVolume(v.in) {
		v.set(v1alpha1.ConditionStorageHealthy, metav1.ConditionUnknown, reasonVolumeNotMeasured,
			"PostgreSQL tells nothing of its volume before spec.renderRevision 4.")
		return Result{}
	}
	addresses, err := v.tellers(ctx)
	if err != nil {
		return failed(err)
	}
	volume, err := v.Measurer.Volume(ctx, addresses)
	if err != nil || !volume.Known {
		// What was known last stays: a database that does not answer is PostgresReady's to tell.
		if known := v.reasonOf(v1alpha1.ConditionStorageHealthy); known == "" || known == reasonUnknown {
			v.set(v1alpha1.ConditionStorageHealthy, metav1.ConditionUnknown, reasonVolumeNotMeasured, "No pod has been told of the volume yet.")
		}
		if len(addresses) == 0 {
			return Result{} // a pod that becomes ready brings the next visit
		}
		return after(volumeLookEvery)
	}
	v.noteVolume(volume)
	if v.is(v1alpha1.ConditionStorageHealthy) {
		return after(volumeLookEvery)
	}
	return after(volumeWatchEvery)
}

// tellers are the metrics' addresses of pods that have a database.
func (v *visit) tellers(ctx context.Context) ([]string, error) {
	labels := v.instance()
	labels[desired.LabelComponent] = string(v1alpha1.ComponentOrder)
	pods := &corev1.PodList{}
	if err := v.Client.List(ctx, pods, client.InNamespace(v.stack.Namespace), labels); err != nil {
		return nil, fmt.Errorf("list the pods that know the database's volume: %w", err)
	}
	var addresses []string
	for i := range pods.Items {
		if pod := &pods.Items[i]; pod.DeletionTimestamp == nil && pod.Status.PodIP != "" && podReady(pod) {
			addresses = append(addresses, net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(desired.PortMetrics))))
		}
	}
	return addresses, nil
}

// volumeFull says that the database takes no writes for want of room.
func (v *visit) volumeFull() bool {
	return v.reasonOf(v1alpha1.ConditionStorageHealthy) == reasonVolumeFull
}

// reasonOf is a condition's reason, empty for one that was never set.
func (v *visit) reasonOf(condition string) string {
	if found := meta.FindStatusCondition(v.status.Conditions, condition); found != nil {
		return found.Reason
	}
	return ""
}

// noteVolume sets the condition. Its messages have no figures: a figure changes all the time.
func (v *visit) noteVolume(volume measure.Volume) {
	claim := desired.PostgresClaimName(v.stack.Name)
	switch {
	case volume.ReadOnly:
		v.set(v1alpha1.ConditionStorageHealthy, metav1.ConditionFalse, reasonVolumeFull,
			"The volume "+claim+" of PostgreSQL is nearly full, and the database takes no writes: raise spec.postgres.storage.size or make room.")
	case volume.Free < volumeLow, volume.Free < volumeEnough && v.reasonOf(v1alpha1.ConditionStorageHealthy) == reasonVolumeLow:
		v.set(v1alpha1.ConditionStorageHealthy, metav1.ConditionFalse, reasonVolumeLow,
			"Less than a fifth of the volume "+claim+" of PostgreSQL is free: raise spec.postgres.storage.size before the database takes no writes.")
	default:
		v.set(v1alpha1.ConditionStorageHealthy, metav1.ConditionTrue, reasonVolumeEnough, "The volume of PostgreSQL has room.")
	}
}
