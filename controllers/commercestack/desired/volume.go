package desired

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// ObjectVolume is the claim for uploads, nil when they are in S3. Where product
// has several pods, all of them must be able to mount it.
func ObjectVolume(in Input) *corev1ac.PersistentVolumeClaimApplyConfiguration {
	if !volumeUsed(in) {
		return nil
	}
	mode := corev1.ReadWriteMany
	if development(in) {
		mode = corev1.ReadWriteOnce
	}
	return claim(in, DataPart, ObjectName(in.Stack.Name, DataPart), mode, in.Stack.Spec.ObjectStorage.Storage)
}

// claim asks for a volume, which outlives the stack unless the stack says
// otherwise. A larger size makes the volume grow, if its class can.
func claim(in Input, part, name string, mode corev1.PersistentVolumeAccessMode,
	storage *v1alpha1.StorageSpec,
) *corev1ac.PersistentVolumeClaimApplyConfiguration {
	size, class := storageOf(storage)
	spec := corev1ac.PersistentVolumeClaimSpec().WithAccessModes(mode).
		WithResources(corev1ac.VolumeResourceRequirements().WithRequests(corev1.ResourceList{corev1.ResourceStorage: size}))
	if class != nil {
		spec = spec.WithStorageClassName(*class)
	}
	return keep(in, part, corev1ac.PersistentVolumeClaim(name, in.Stack.Namespace)).WithSpec(spec)
}

func storageOf(storage *v1alpha1.StorageSpec) (size resource.Quantity, class *string) {
	size = resource.MustParse("10Gi")
	if storage == nil {
		return size, nil
	}
	if storage.Size != nil {
		size = *storage.Size
	}
	return size, storage.StorageClassName
}

// claimVolume shows a pod the volume of a claim.
func claimVolume(name, claim string) *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(name).WithPersistentVolumeClaim(corev1ac.PersistentVolumeClaimVolumeSource().WithClaimName(claim))
}
