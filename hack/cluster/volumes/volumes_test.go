package volumes_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/commercestack/commercestack/hack/cluster/volumes"
)

func newController(t *testing.T) *volumes.Controller {
	t.Helper()
	retain := corev1.PersistentVolumeReclaimRetain
	return &volumes.Controller{
		Client: fake.NewClientset(
			&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "standard"}, Provisioner: volumes.Provisioner},
			&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "kept"}, Provisioner: volumes.Provisioner, ReclaimPolicy: &retain},
			&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "limited"}, Provisioner: volumes.Provisioner, Parameters: map[string]string{"size": "enforced"}},
			&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Provisioner: "other"},
		),
		Dir: t.TempDir(), Node: "one", Log: slog.New(slog.DiscardHandler), Disks: disks{},
	}
}

// disks remembers what is mounted, and how large it is.
type disks map[string]int64

// Mount implements volumes.Mounter.
func (d disks) Mount(_ context.Context, folder string, size int64) error {
	d[folder] = size
	return nil
}

// Unmount implements volumes.Mounter.
func (d disks) Unmount(folder string) error {
	delete(d, folder)
	return nil
}

// Only a class that says so has volumes of a size, and they go with their claim.
func TestSizeIsEnforced(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]int64{"standard": 0, "limited": 1 << 30} {
		controller := newController(t)
		if err := controller.Provision(t.Context(), newClaim(class)); err != nil {
			t.Fatal(err)
		}
		mounted, _ := controller.Disks.(disks)
		if got := mounted[filepath.Join(controller.Dir, "pvc-1234")]; got != want {
			t.Errorf("%s: %d bytes are mounted, want %d", class, got, want)
		}
		volume, err := controller.Client.CoreV1().PersistentVolumes().Get(t.Context(), "pvc-1234", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		volume.Status.Phase = corev1.VolumeReleased
		if err := controller.Reclaim(t.Context(), volume); err != nil || len(mounted) != 0 {
			t.Errorf("%s: %v is still mounted (%v)", class, mounted, err)
		}
	}
}

// A disk of a size is full when it is, and leaves nothing behind.
func TestLoop(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root mounts")
	}
	folder := filepath.Join(t.TempDir(), "volume")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	loop := volumes.Loop{}
	for range 2 { // twice, as after a crash
		if err := loop.Mount(t.Context(), folder, 16<<20); err != nil {
			t.Skipf("this machine mounts no files: %v", err)
		}
	}
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, make([]byte, 8<<20), 0o600); err != nil {
		t.Errorf("half of it is too much: %v", err)
	}
	if err := os.WriteFile(file, make([]byte, 32<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("twice its size: %v, want no space left", err)
	}
	for range 2 {
		if err := loop.Unmount(folder); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(folder)); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func newClaim(class string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "data", UID: "1234",
			Annotations: map[string]string{"volume.kubernetes.io/storage-provisioner": volumes.Provisioner},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
}

func TestProvision(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		class  string
		change func(*corev1.PersistentVolumeClaim)
		policy corev1.PersistentVolumeReclaimPolicy
	}{
		"deleted with its claim": {class: "standard", policy: corev1.PersistentVolumeReclaimDelete},
		"kept after its claim":   {class: "kept", policy: corev1.PersistentVolumeReclaimRetain},
		"another provisioner's":  {class: "other"},
		"waits for a pod": {class: "standard", change: func(claim *corev1.PersistentVolumeClaim) {
			claim.Annotations = nil
		}},
		"for a pod of this node": {class: "standard", policy: corev1.PersistentVolumeReclaimDelete, change: func(claim *corev1.PersistentVolumeClaim) {
			claim.Annotations["volume.kubernetes.io/selected-node"] = "one"
		}},
		"for a pod of another node": {class: "standard", change: func(claim *corev1.PersistentVolumeClaim) {
			claim.Annotations["volume.kubernetes.io/selected-node"] = "two"
		}},
		"bound already": {class: "standard", change: func(claim *corev1.PersistentVolumeClaim) {
			claim.Spec.VolumeName = "by-hand"
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			controller, claim := newController(t), newClaim(test.class)
			if test.change != nil {
				test.change(claim)
			}
			// Twice, as after a crash between the two halves.
			for range 2 {
				if err := controller.Provision(t.Context(), claim); err != nil {
					t.Fatal(err)
				}
			}
			list, err := controller.Client.CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if test.policy == "" {
				if len(list.Items) != 0 {
					t.Fatalf("volumes = %v", list.Items)
				}
				return
			}
			if len(list.Items) != 1 {
				t.Fatalf("%d volumes", len(list.Items))
			}
			volume := list.Items[0]
			if volume.Spec.PersistentVolumeReclaimPolicy != test.policy || volume.Spec.ClaimRef.UID != "1234" {
				t.Errorf("volume = %+v", volume.Spec)
			}
			if info, err := os.Stat(volume.Spec.Local.Path); err != nil || !info.IsDir() {
				t.Errorf("folder: %v", err)
			}
		})
	}
}

func TestProvisionNeedsTheClass(t *testing.T) {
	t.Parallel()
	if err := newController(t).Provision(t.Context(), newClaim("absent")); err == nil {
		t.Error("a claim of an unknown class was served")
	}
}

func TestReclaim(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change  func(*corev1.PersistentVolume)
		removed bool
		failed  bool
	}{
		"released":    {removed: true},
		"still bound": {change: func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeBound }},
		"to be kept": {change: func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
		}},
		"another node's": {change: func(v *corev1.PersistentVolume) {
			v.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values = []string{"two"}
		}},
		"somebody's":    {change: func(v *corev1.PersistentVolume) { v.Annotations = nil }},
		"lies outside":  {change: func(v *corev1.PersistentVolume) { v.Spec.Local.Path = "/etc" }, failed: true},
		"climbs out":    {change: func(v *corev1.PersistentVolume) { v.Spec.Local.Path += "/../../elsewhere" }, failed: true},
		"has no folder": {change: func(v *corev1.PersistentVolume) { v.Spec.Local = nil }, failed: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			controller := newController(t)
			if err := controller.Provision(t.Context(), newClaim("standard")); err != nil {
				t.Fatal(err)
			}
			folder := filepath.Join(controller.Dir, "pvc-1234")
			volume, err := controller.Client.CoreV1().PersistentVolumes().Get(t.Context(), "pvc-1234", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			volume.Status.Phase = corev1.VolumeReleased
			if test.change != nil {
				test.change(volume)
			}
			if err := controller.Reclaim(t.Context(), volume); (err != nil) != test.failed {
				t.Errorf("err = %v", err)
			}
			_, err = os.Stat(folder)
			if removed := os.IsNotExist(err); removed != test.removed {
				t.Errorf("folder removed = %t", removed)
			}
		})
	}
}
