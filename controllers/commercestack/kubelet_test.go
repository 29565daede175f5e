package commercestack_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/internal/kubetest"
)

// playCluster does what the controllers of Deployments, StatefulSets and Jobs and
// the kubelet do, for the whole namespace, and says whether there was anything to do.
func (w *world) playCluster(t *testing.T) bool {
	t.Helper()
	busy := false
	if w.flaws != nil {
		busy = w.playPods(t)
	}
	deployments := &appsv1.DeploymentList{}
	w.listOwned(t, deployments)
	for i := range deployments.Items {
		if w.flaws != nil {
			break
		}
		d := &deployments.Items[i]
		busy = w.putStatus(t, d, func() any { return d.Status }, func() { kubetest.MakeAvailable(d) }) || busy
	}
	sets := &appsv1.StatefulSetList{}
	w.listOwned(t, sets)
	for i := range sets.Items {
		s := &sets.Items[i]
		busy = w.putStatus(t, s, func() any { return s.Status }, func() { kubetest.MakeReady(s) }) || busy
	}
	jobs := &batchv1.JobList{}
	w.listOwned(t, jobs)
	for i := range jobs.Items {
		if j := &jobs.Items[i]; len(j.Status.Conditions) == 0 {
			end := batchv1.JobComplete
			if w.flaws[tagOf(&j.Spec.Template.Spec)] == flawMigration {
				end = batchv1.JobFailed
			}
			w.endJob(t, j, end)
			busy = true
		}
	}
	return busy
}

func (w *world) list(t *testing.T, list client.ObjectList) {
	t.Helper()
	if err := w.List(t.Context(), list, client.InNamespace(w.namespace)); err != nil {
		t.Fatal(err)
	}
}

// listOwned lists what the operator made, from its cache.
func (w *world) listOwned(t *testing.T, list client.ObjectList) {
	t.Helper()
	if err := w.cached(t).List(t.Context(), list, client.InNamespace(w.namespace)); err != nil {
		t.Fatal(err)
	}
}

// putStatus stores a status if it changed.
func (w *world) putStatus(t *testing.T, object client.Object, status func() any, set func()) bool {
	t.Helper()
	before := status()
	set()
	if equality.Semantic.DeepEqual(before, status()) {
		return false
	}
	if err := w.Status().Update(t.Context(), object); err != nil && !errors.IsConflict(err) && !errors.IsNotFound(err) {
		t.Fatal(err)
	}
	return true
}

// endJob ends a Job as its controller does.
func (w *world) endJob(t *testing.T, job *batchv1.Job, end batchv1.JobConditionType) {
	t.Helper()
	kubetest.EndJob(job, end)
	if err := w.Status().Update(t.Context(), job); err != nil && !errors.IsConflict(err) && !errors.IsNotFound(err) {
		t.Fatal(err)
	}
}

// loseServer takes a server's pod away.
func (w *world) loseServer(t *testing.T, name string) {
	t.Helper()
	set := &appsv1.StatefulSet{}
	if err := w.Get(t.Context(), key(w.namespace, name), set); err != nil {
		t.Fatal(err)
	}
	set.Status.ReadyReplicas, set.Status.AvailableReplicas = 0, 0
	if err := w.Status().Update(t.Context(), set); err != nil {
		t.Fatal(err)
	}
}
