package commercestack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/rollout"
)

const (
	// podGrace is how old a pod is before what keeps it from running counts: a
	// registry that hesitates, a database that is just starting.
	podGrace = 15 * time.Second
	// weightPoll is how often gateways are asked whether they follow the routing table.
	weightPoll = time.Second
)

// hopeless are what a container waits for that will not come by itself.
var hopeless = []string{
	"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "CrashLoopBackOff", "CreateContainerConfigError",
	"CreateContainerError", "RunContainerError",
}

// deploymentSet are Deployments by name.
type deploymentSet map[string]*appsv1.Deployment

// observe finds what the machine of rollouts decides by. While a rollout runs it
// reads past the cache: that pods of a revision are gone must be so.
func (v *visit) observe(ctx context.Context) (rollout.Observation, error) {
	s := v.roll.State
	o := rollout.Observation{
		Target: v.roll.revision, History: v.history(), RotationMovesPods: v.rotationMovesPods, Paused: v.pass.Dry(), BackupFresh: v.backupFresh(),
		Requester: v.requester(), Request: v.request(), Measurements: v.measurements(),
	}
	var err error
	if o.Migration, err = v.observeMigration(ctx); err != nil {
		return o, err
	}
	if o.Approvals, err = v.approvals(ctx); err != nil {
		return o, err
	}
	if s.Ended() {
		return o, nil
	}
	if v.roll.deployments, err = v.readDeployments(ctx, v.Live); err != nil {
		return o, err
	}
	if v.roll.pods, err = v.readPods(ctx, v.Live); err != nil {
		return o, err
	}
	for _, components := range v.roll.Layout.Waves {
		o.Waves = append(o.Waves, v.observeWave(components))
	}
	if s.Phase == rollout.PhaseProgressing && s.Wave < len(o.Waves) {
		v.observeShare(ctx, &o.Waves[s.Wave])
	}
	return o, nil
}

func (v *visit) readPods(ctx context.Context, reader client.Reader) ([]corev1.Pod, error) {
	list := &corev1.PodList{}
	if err := reader.List(ctx, list, client.InNamespace(v.stack.Namespace), v.instance()); err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	return list.Items, nil
}

// podsOf are the pods of a component in a role, canaries or not.
func (v *visit) podsOf(component v1alpha1.ComponentName, role string, canary bool) []*corev1.Pod {
	var found []*corev1.Pod
	for i := range v.roll.pods {
		labels := v.roll.pods[i].Labels
		isCanary := labels[desired.LabelTrack] == desired.TrackCanary
		if labels[desired.LabelComponent] == string(component) && isCanary == canary && (canary || labels[desired.LabelRole] == role) {
			found = append(found, &v.roll.pods[i])
		}
	}
	return found
}

// observeWave looks at the pods of a wave.
func (v *visit) observeWave(components []v1alpha1.ComponentName) rollout.Wave {
	w := rollout.Wave{Available: true, CanaryGone: true, CanaryAvailable: true}
	stable, canary := newAgreement(), newAgreement()
	for _, component := range components {
		for role, name := range map[string]string{
			desired.RoleAPI: desired.ComponentName(v.stack.Name, component), desired.RoleWorker: desired.WorkerName(v.stack.Name, component),
		} {
			d, pods := v.roll.deployments[name], v.podsOf(component, role, false)
			if d == nil && role == desired.RoleWorker && len(pods) == 0 {
				continue
			}
			stable.add(v.revisionRun(component, d, pods))
			w.Available = w.Available && d != nil && settled(d)
			v.blame(&w, d, pods)
		}
		d, pods := v.roll.deployments[desired.CanaryName(v.stack.Name, component)], v.podsOf(component, "", true)
		w.CanaryGone = w.CanaryGone && d == nil && len(pods) == 0
		canary.add(v.revisionRun(component, d, pods))
		w.CanaryAvailable = w.CanaryAvailable && d != nil && settled(d)
		v.blame(&w, d, pods)
	}
	w.Stable, w.Canary = stable.revision(), canary.revision()
	return w
}

// agreement is one revision as long as all have the same.
type agreement struct{ seen []string }

func newAgreement() *agreement { return &agreement{} }

func (a *agreement) add(revision string) {
	if !slices.Contains(a.seen, revision) {
		a.seen = append(a.seen, revision)
	}
}

func (a *agreement) revision() string {
	if len(a.seen) != 1 {
		return ""
	}
	return a.seen[0]
}

// revisionRun is the revision of a Deployment's template and of all its pods,
// those that are going included; empty while they differ.
func (v *visit) revisionRun(component v1alpha1.ComponentName, d *appsv1.Deployment, pods []*corev1.Pod) string {
	if d == nil || d.DeletionTimestamp != nil || d.Status.ObservedGeneration < d.Generation || d.Status.Replicas > d.Status.UpdatedReplicas {
		return ""
	}
	for _, pod := range pods {
		// Pods of one template have one hash.
		if pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != pods[0].Labels[appsv1.DefaultDeploymentUniqueLabelKey] {
			return ""
		}
		if d.Status.Replicas == 0 && pod.DeletionTimestamp != nil {
			return ""
		}
	}
	return v.templateRevision(component, d)
}

// templateRevision is the revision that a Deployment's template was rendered
// from. An operator that did not note it went by the image.
func (v *visit) templateRevision(component v1alpha1.ComponentName, d *appsv1.Deployment) string {
	if revision := d.Annotations[annotationRevision]; revision != "" {
		return revision
	}
	for _, revision := range []string{v.roll.State.Current, v.roll.State.Target} {
		in := v.in
		if revision != v.roll.revision {
			r, ok := v.roll.records[revision]
			if !ok {
				continue
			}
			in = r.snapshot.Restore(v.in)
		}
		if imageOf(d) == desired.PlatformImage(in, component) {
			return revision
		}
	}
	return ""
}

// blame notes a pod of the target that will not become available by waiting.
func (v *visit) blame(w *rollout.Wave, d *appsv1.Deployment, pods []*corev1.Pod) {
	s := v.roll.State
	if d == nil || w.Failed != "" || d.Annotations[annotationRevision] != s.Target {
		return
	}
	for _, pod := range pods {
		reason, message := trouble(pod)
		if !slices.Contains(hopeless, reason) || pod.CreationTimestamp.Time.Before(s.StartedAt.Truncate(time.Second)) {
			continue
		}
		if age := v.now.Sub(pod.CreationTimestamp.Time); age < podGrace {
			v.lookAfter(podGrace - age)
			continue
		}
		w.Failed = "pod " + pod.Name + ": " + strings.TrimSuffix(message, ".")
		return
	}
}

// lookAfter asks for another look.
func (v *visit) lookAfter(wait time.Duration) {
	if v.roll.look == 0 || wait < v.roll.look {
		v.roll.look = max(wait, time.Millisecond)
	}
}

// request is the newest request about the rollout; one that cannot be read is told and left.
func (v *visit) request() rollout.Request {
	text := v.stack.Annotations[v1alpha1.AnnotationRollout]
	if text == "" {
		return rollout.Request{}
	}
	r, err := v1alpha1.ParseRolloutRequest(text)
	if err != nil {
		v.warnf("BadRequest", "Rollout", "%v", err)
		return rollout.Request{}
	}
	return rollout.Request{Verb: rollout.Verb(r.Verb), Revision: r.Revision, ID: r.ID}
}

// requester is who changed the spec last, as an admission policy vouches for.
func (v *visit) requester() string {
	return strings.TrimSpace(v.stack.Annotations[v1alpha1.AnnotationRequestedBy])
}
