package commercestack

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/commercestack/vault"
	"github.com/commercestack/commercestack/controllers/rotation"
)

// observeSecrets is what the rotation decides by. Pods and Jobs are looked at for
// the one secret that rotates alone.
func (v *visit) observeSecrets(ctx context.Context, secrets []vault.Secret, states []rotation.State) (rotation.Stack, error) {
	request, rolls := v.rotationRequest(), v.rollsOut()
	moves := rotation.MovesPods(states)
	stack := rotation.Stack{
		Key: string(v.stack.UID), Secrets: map[string]rotation.Observation{}, Paused: v.pass.Dry(),
		Rollout: rolls && !moves, RolloutWaits: moves && (rolls || v.rolloutWaiting()),
		Request: rotation.Request{Secret: request.Secret, ID: request.ID},
	}
	for i, secret := range secrets {
		seen := rotation.Observation{Vault: v.vault.Versions(states[i]), Offered: secret.OfferedID(), Stored: secret.Stored}
		seen.Changed = len(secret.Given) > 0 && !bytes.Equal(secret.Given, bytes.TrimSpace(v.vault.Value(states[i], states[i].Active)))
		if !states[i].Idle() {
			var err error
			if seen.Deployed, err = v.deployed(ctx, states[i]); err != nil {
				return stack, err
			}
			if seen.Jobs, err = v.observeJobs(ctx); err != nil {
				return stack, err
			}
		}
		stack.Secrets[secret.Name] = seen
	}
	return stack, nil
}

// consumers are the components whose pods have a secret.
func consumers(secret string) []v1alpha1.ComponentName {
	switch secret {
	case vault.NameSigning:
		return []v1alpha1.ComponentName{v1alpha1.ComponentAuth}
	case vault.NameWebhook:
		return []v1alpha1.ComponentName{v1alpha1.ComponentBilling}
	}
	if component := vault.LoginComponent(secret); component != "" {
		return []v1alpha1.ComponentName{v1alpha1.ComponentName(component)}
	}
	return desired.Components()
}

// deployed is the content that every consumer has: in the templates of its
// Deployments and in every pod, those included that are on their way out. While
// they differ, or one has something that is not known, it is nothing.
func (v *visit) deployed(ctx context.Context, state rotation.State) (rotation.Content, error) {
	deployments, err := v.deployments(ctx)
	if err != nil {
		return rotation.Content{}, err
	}
	pods, err := v.readPods(ctx, v.Client)
	if err != nil {
		return rotation.Content{}, err
	}
	var all []rotation.Content
	for _, component := range consumers(state.Secret) {
		contentOf, err := v.contentReader(state, component)
		if err != nil {
			return rotation.Content{}, err
		}
		templates := 0
		for _, d := range deployments {
			if d.Labels[desired.LabelComponent] != string(component) {
				continue
			}
			templates++
			if !replaced(d) {
				return rotation.Content{}, nil
			}
			all = append(all, contentOf(&d.Spec.Template.Spec))
		}
		if templates == 0 {
			return rotation.Content{}, nil
		}
		for i := range pods {
			if pod := &pods[i]; pod.Labels[desired.LabelComponent] == string(component) && !over(pod) {
				all = append(all, contentOf(&pod.Spec))
			}
		}
	}
	if slices.ContainsFunc(all, func(c rotation.Content) bool { return c != all[0] }) {
		return rotation.Content{}, nil
	}
	return all[0], nil
}

// replaced says whether a Deployment has no pods but those of its newest template.
func replaced(d *appsv1.Deployment) bool {
	return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == d.Status.Replicas
}

// over says whether a pod's containers ended for good.
func over(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// contentReader tells what a pod of a component has. The name of its Secret says
// it, being made from the values: each content that there can be makes one name.
func (v *visit) contentReader(state rotation.State, component v1alpha1.ComponentName) (func(*corev1.PodSpec) rotation.Content, error) {
	if state.Kind == rotation.KindSigningKeys {
		return signingContent, nil
	}
	names := map[string]rotation.Content{}
	for _, content := range v.contents(state) {
		v.supposed = map[string]rotation.Content{state.Secret: content}
		data, err := v.secretData(string(component), desired.SecretKeys(v.in, component))
		v.supposed = nil
		if err != nil {
			return nil, err
		}
		// Of a login nothing is accepted besides: the content without that comes first.
		if name := v.contentName(string(component), data); names[name].Use == "" {
			names[name] = content
		}
	}
	return func(pod *corev1.PodSpec) rotation.Content { return names[mountedSecret(pod)] }, nil
}

// contents are all that a consumer can have of a secret, of versions in the vault.
func (v *visit) contents(state rotation.State) []rotation.Content {
	held := v.vault.Versions(state)
	return slices.DeleteFunc([]rotation.Content{
		{Use: state.Active},
		{Use: state.Next},
		{Use: state.Active, Accept: state.Next},
		{Use: state.Next, Accept: state.Active},
	}, func(c rotation.Content) bool {
		return !slices.Contains(held, c.Use) || (c.Accept != "" && !slices.Contains(held, c.Accept))
	})
}

// signingContent is the key of tokens that a pod of auth was asked for. The first
// is made without being asked for.
func signingContent(pod *corev1.PodSpec) rotation.Content {
	for i := range pod.Containers {
		for _, env := range pod.Containers[i].Env {
			if env.Name == desired.SigningKeyVariable {
				return rotation.Content{Use: rotation.ID(env.Value)}
			}
		}
	}
	return rotation.Content{Use: firstSigningKey}
}

// firstSigningKey is the version that auth makes by itself.
const firstSigningKey rotation.ID = "1"

// observeJobs are the Jobs of rotations by the machine's names. They are read past
// the cache: one that was begun a moment ago must not look as if it were not there.
func (v *visit) observeJobs(ctx context.Context) (map[string]rotation.JobObservation, error) {
	jobs := &batchv1.JobList{}
	if err := v.Live.List(ctx, jobs, client.InNamespace(v.stack.Namespace), v.instance(), client.HasLabels{desired.LabelJob}); err != nil {
		return nil, fmt.Errorf("list Jobs: %w", err)
	}
	seen := map[string]rotation.JobObservation{}
	for i := range jobs.Items {
		job := &jobs.Items[i]
		id := job.Annotations[desired.AnnotationRotation]
		if id == "" {
			continue
		}
		observation := rotation.JobObservation{Phase: rotation.JobRunning}
		switch end := ended(job); {
		case end == nil: // one that is being deleted runs until it is gone
		case end.Type == batchv1.JobComplete:
			observation.Phase = rotation.JobSucceeded
		default:
			_, message, err := v.jobTrouble(ctx, job)
			if err != nil {
				return nil, err
			}
			message = cmp.Or(message, firstLine(end.Message), end.Reason)
			observation.Phase, observation.Message = rotation.JobFailed, "Job "+job.Name+" failed: "+message
		}
		seen[id] = observation
	}
	return seen, nil
}
