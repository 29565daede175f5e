// Package volumes provisions the local cluster's PersistentVolumes: a folder per
// claim, in the cluster's own folder. A class whose parameter size is "enforced"
// mounts a file system of the claim's size there, which can be full as a disk is.
//
// Volumes are of the kind `local`, not
// hostPath, because the kubelet sets the group of local volumes: a pod that runs
// without root writes to them by its fsGroup, as it does to a cloud's disks.
package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/commercestack/commercestack/hack/cluster/layout"
)

// Provisioner is the name that a StorageClass chooses these volumes by.
const Provisioner = layout.Provisioner

const (
	// provisionedBy marks volumes that are this provisioner's to delete.
	provisionedBy = "pv.kubernetes.io/provisioned-by"
	// wanted is how the control plane asks a provisioner to act on a claim. With
	// WaitForFirstConsumer it does so once a pod has been scheduled.
	wanted = "volume.kubernetes.io/storage-provisioner"
	// selectedNode is where the scheduler puts the pod that waits for the claim.
	selectedNode = "volume.kubernetes.io/selected-node"
)

// A class with this parameter has volumes that can be full.
const (
	sizeParameter = "size"
	sizeEnforced  = "enforced"
)

// Mounter gives a folder a file system of its own.
type Mounter interface {
	// Mount mounts an empty file system of so many bytes, or leaves the one that is there.
	Mount(ctx context.Context, folder string, size int64) error
	// Unmount takes it away with all that is in it; a plain folder is left alone.
	Unmount(folder string) error
}

// Controller makes and removes volumes.
type Controller struct {
	// Client talks to the API server.
	Client kubernetes.Interface
	// Dir holds the folders.
	Dir string
	// Node is the node that the folders are on.
	Node string
	// Disks mounts volumes whose size is enforced.
	Disks Mounter
	// Log gets a line per volume made or removed.
	Log *slog.Logger
}

// Provision makes the volume that a claim waits for. Doing so twice is harmless:
// the volume's name comes from the claim.
func (c *Controller) Provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || claim.Annotations[wanted] != Provisioner || claim.Spec.StorageClassName == nil {
		return nil
	}
	if node := claim.Annotations[selectedNode]; node != "" && node != c.Node {
		return nil
	}
	class, err := c.Client.StorageV1().StorageClasses().Get(ctx, *claim.Spec.StorageClassName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the storage class of %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	if class.Provisioner != Provisioner {
		return nil
	}
	volume := c.volume(claim, class)
	if err := os.MkdirAll(volume.Spec.Local.Path, 0o755); err != nil {
		return fmt.Errorf("make the folder of %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	if class.Parameters[sizeParameter] == sizeEnforced {
		size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
		if err := c.Disks.Mount(ctx, volume.Spec.Local.Path, size.Value()); err != nil {
			return fmt.Errorf("mount the volume of %s/%s: %w", claim.Namespace, claim.Name, err)
		}
	}
	_, err = c.Client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make the volume of %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	c.Log.InfoContext(ctx, "made a volume", "volume", volume.Name, "claim", claim.Namespace+"/"+claim.Name)
	return nil
}

func (c *Controller) volume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) *corev1.PersistentVolume {
	name := "pvc-" + string(claim.UID)
	policy := corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		policy = *class.ReclaimPolicy
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: Provisioner}},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeReclaimPolicy: policy,
			StorageClassName:              class.Name,
			VolumeMode:                    claim.Spec.VolumeMode,
			MountOptions:                  class.MountOptions,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: filepath.Join(c.Dir, name)}},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{c.Node}}},
			}}}},
		},
	}
}

// here tells whether a volume is on this node: another node's agent has its folder.
func (c *Controller) here(volume *corev1.PersistentVolume) bool {
	if volume.Spec.NodeAffinity == nil || volume.Spec.NodeAffinity.Required == nil {
		return true
	}
	for _, term := range volume.Spec.NodeAffinity.Required.NodeSelectorTerms {
		for _, expression := range term.MatchExpressions {
			if expression.Key == corev1.LabelHostname && !slices.Contains(expression.Values, c.Node) {
				return false
			}
		}
	}
	return true
}

// Reclaim removes a volume that was released and whose policy says to delete it:
// the folder first, so that no folder outlives its record.
func (c *Controller) Reclaim(ctx context.Context, volume *corev1.PersistentVolume) error {
	if volume.Annotations[provisionedBy] != Provisioner || volume.Status.Phase != corev1.VolumeReleased ||
		volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete || volume.DeletionTimestamp != nil || !c.here(volume) {
		return nil
	}
	// Never remove what lies outside, whatever somebody wrote into the object.
	local := volume.Spec.Local
	if local == nil || !strings.HasPrefix(filepath.Clean(local.Path), filepath.Clean(c.Dir)+"/") {
		return fmt.Errorf("volume %s is not in %s and is left alone", volume.Name, c.Dir)
	}
	if err := c.Disks.Unmount(local.Path); err != nil {
		return fmt.Errorf("unmount %s: %w", volume.Name, err)
	}
	if err := os.RemoveAll(local.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the folder of %s: %w", volume.Name, err)
	}
	err := c.Client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete the volume %s: %w", volume.Name, err)
	}
	c.Log.InfoContext(ctx, "removed a volume", "volume", volume.Name)
	return nil
}
