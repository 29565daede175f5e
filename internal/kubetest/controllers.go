package kubetest

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// MakeAvailable gives a Deployment the status that its controller gives it once
// every pod serves. The caller stores it.
func MakeAvailable(d *appsv1.Deployment) {
	n := ptr.Deref(d.Spec.Replicas, 1)
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n}
}

// MakeReady gives a StatefulSet the status that its controller gives it once every
// pod serves. The caller stores it.
func MakeReady(s *appsv1.StatefulSet) {
	n := ptr.Deref(s.Spec.Replicas, 1)
	s.Status = appsv1.StatefulSetStatus{ObservedGeneration: s.Generation, Replicas: n, ReadyReplicas: n, AvailableReplicas: n}
}

// EndJob gives a Job the status of one that ended, JobComplete or JobFailed. The
// caller stores it.
func EndJob(job *batchv1.Job, end batchv1.JobConditionType) {
	now := metav1.Now()
	before := batchv1.JobSuccessCriteriaMet
	if end == batchv1.JobFailed {
		before = batchv1.JobFailureTarget
	} else {
		job.Status.CompletionTime, job.Status.Succeeded = &now, 1
	}
	job.Status.StartTime = &now
	for _, kind := range []batchv1.JobConditionType{before, end} {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now, Reason: "Test"})
	}
}
