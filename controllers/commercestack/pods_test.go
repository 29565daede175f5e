package commercestack_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// flaw is what is wrong with a version.
type flaw string

const (
	flawImage     flaw = "ImagePullBackOff"
	flawCrash     flaw = "CrashLoopBackOff"
	flawMigration flaw = "its migration fails"
)

// withPods plays the pods of Deployments, those of broken versions as they are.
func withPods(flaws map[string]flaw) option {
	return func(w *world) { w.flaws = flaws }
}

func tagOf(pod *corev1.PodSpec) string {
	image := pod.Containers[0].Image
	return image[strings.LastIndex(image, ":")+1:]
}

// annotationOf of a pod is the Deployment that it belongs to.
const annotationOf = "test/deployment"

// playPods does what the controllers of Deployments and the kubelet do: a new
// template gets its pods, and old ones go once those are available.
func (w *world) playPods(t *testing.T) bool {
	t.Helper()
	deployments, pods := &appsv1.DeploymentList{}, &corev1.PodList{}
	w.listOwned(t, deployments)
	w.list(t, pods)
	busy := false
	owned := map[string][]*corev1.Pod{}
	for i := range pods.Items {
		if of := pods.Items[i].Annotations[annotationOf]; of != "" {
			owned[of] = append(owned[of], &pods.Items[i])
		}
	}
	for i := range deployments.Items {
		busy = w.playDeployment(t, &deployments.Items[i], owned[deployments.Items[i].Name]) || busy
		delete(owned, deployments.Items[i].Name)
	}
	for _, orphans := range owned {
		for _, pod := range orphans {
			w.removePod(t, pod)
			busy = true
		}
	}
	routes := &corev1.ConfigMap{}
	if err := w.Get(t.Context(), key(w.namespace, "shop-gateway-routes"), routes); err == nil {
		w.gateways.reads(routes.Data[desired.RoutesKey])
	}
	return busy
}

func (w *world) removePod(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if err := w.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil && !errors.IsNotFound(err) {
		t.Fatal(err)
	}
}

func (w *world) playDeployment(t *testing.T, d *appsv1.Deployment, pods []*corev1.Pod) bool {
	t.Helper()
	content, err := json.Marshal(d.Spec.Template)
	if err != nil {
		t.Fatal(err)
	}
	hash := desired.Hash(string(content))
	broken := w.flaws[tagOf(&d.Spec.Template.Spec)]
	var fresh, old []*corev1.Pod
	for _, pod := range pods {
		if pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey] == hash {
			fresh = append(fresh, pod)
		} else {
			old = append(old, pod)
		}
	}
	busy := false
	want := ptr.Deref(d.Spec.Replicas, 1)
	if broken == flawImage || broken == flawCrash {
		want = 1
	}
	for n := 0; len(fresh) < int(want); n++ {
		fresh = append(fresh, w.addPod(t, d, hash, fmt.Sprintf("%s-%s-%d-%d", d.Name, hash, d.Generation, n), broken))
		busy = true
	}
	for len(fresh) > int(want) {
		w.removePod(t, fresh[len(fresh)-1])
		fresh = fresh[:len(fresh)-1]
		busy = true
	}
	available := int32(len(fresh) + len(old))
	if broken == flawImage || broken == flawCrash {
		available = int32(len(old))
	} else if len(old) > 0 {
		for _, pod := range old {
			w.removePod(t, pod)
		}
		available, old, busy = int32(len(fresh)), nil, true
	}
	return w.putStatus(t, d, func() any { return d.Status }, func() {
		d.Status = appsv1.DeploymentStatus{
			ObservedGeneration: d.Generation, Replicas: int32(len(fresh) + len(old)), UpdatedReplicas: int32(len(fresh)),
			ReadyReplicas: available, AvailableReplicas: available,
		}
		if available > 0 {
			d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue}}
		}
	}) || busy
}

func (w *world) addPod(t *testing.T, d *appsv1.Deployment, hash, name string, broken flaw) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{Spec: *d.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.Name, pod.Labels = w.namespace, name, maps.Clone(d.Spec.Template.Labels)
	pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	pod.Annotations = map[string]string{annotationOf: d.Name}
	if err := w.Create(t.Context(), pod); err != nil && !errors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	status := corev1.ContainerStatus{Name: pod.Spec.Containers[0].Name}
	if broken == flawImage || broken == flawCrash {
		status.State.Waiting = &corev1.ContainerStateWaiting{Reason: string(broken), Message: "it will not come"}
	} else {
		status.State.Running, status.Ready = &corev1.ContainerStateRunning{}, true
		pod.Status.PodIP, pod.Status.PodIPs = "10.1.2.3", []corev1.PodIP{{IP: "10.1.2.3"}}
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{status}
	if err := w.Status().Update(t.Context(), pod); err != nil && !errors.IsConflict(err) && !errors.IsNotFound(err) {
		t.Fatal(err)
	}
	return pod
}
