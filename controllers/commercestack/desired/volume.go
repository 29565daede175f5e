package desired

import (
	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

// ObjectVolume is the claim for uploads, nil when they are in S3. Where product
// has several pods, all of them must be able to mount it.
func ObjectVolume(in Input) *corev1ac.PersistentVolumeClaimApplyConfiguration {
	if !volumeUsed(in) {
		return nil
	}
	size, class := storageOf(in.Stack.Spec.ObjectStorage.Storage)
	mode := corev1.ReadWriteMany
	if development(in) {
		mode = corev1.ReadWriteOnce
	}
	spec := corev1ac.PersistentVolumeClaimSpec().WithAccessModes(mode).
		WithResources(corev1ac.VolumeResourceRequirements().WithRequests(corev1.ResourceList{corev1.ResourceStorage: size}))
	if class != nil {
		spec = spec.WithStorageClassName(*class)
	}
	return keep(in, DataPart, corev1ac.PersistentVolumeClaim(ObjectName(in.Stack.Name, DataPart), in.Stack.Namespace)).WithSpec(spec)
}
