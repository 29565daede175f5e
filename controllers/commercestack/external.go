package commercestack

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/commercestack/vault"
	"github.com/commercestack/commercestack/controllers/rotation"
)

// storePoll is how often a stack that waits for its store looks again, should
// nobody tell.
const storePoll = 15 * time.Second

// fromStore says whether a secret comes from the store: auth makes its own keys, and
// Stripe's are in a Secret of their own.
func fromStore(kind rotation.Kind) bool {
	return kind != rotation.KindSigningKeys && kind != rotation.KindWebhook
}

// external reads what the store has. It is published by nobody but the rotation:
// what pods get comes from the vault, so a store that is away changes nothing.
func (v *visit) external(ctx context.Context) Result {
	spec := v.stack.Spec.Secrets
	if spec.Source != v1alpha1.SecretsExternal || spec.External == nil {
		return Result{}
	}
	var names []string
	for _, secret := range v.rotating() {
		if secret.Stored {
			names = append(names, secret.Name)
		}
	}
	object := desired.ExternalSecret(v.in, *spec.External, names)
	if result := v.applyForeign(ctx, object); result.Err != nil || result.RequeueAfter > 0 {
		result.Stop = true
		return result
	}
	secret := &corev1.Secret{}
	if err := v.Live.Get(ctx, v.key(object.GetName()), secret); err != nil && !missing(err) {
		return Result{Err: fmt.Errorf("read Secret %s: %w", object.GetName(), err), Stop: true}
	}
	v.given = secret.Data
	if problem, err := v.storeTrouble(ctx, object.GetName()); err != nil {
		return Result{Err: err, Stop: true}
	} else if problem != "" {
		v.storeProblems = append(v.storeProblems, problem)
		return after(storePoll)
	}
	return Result{}
}

// storeTrouble is what the ExternalSecret says when it is not Ready.
func (v *visit) storeTrouble(ctx context.Context, name string) (string, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kindExternalSecret)
	if err := v.Client.Get(ctx, v.key(name), object); err != nil && !missing(err) {
		return "", fmt.Errorf("read ExternalSecret %s: %w", name, err)
	}
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, entry := range conditions {
		condition, ok := entry.(map[string]any)
		if !ok || condition["type"] != "Ready" {
			continue
		}
		if condition["status"] == "True" {
			return "", nil
		}
		message, _ := condition["message"].(string)
		return fmt.Sprintf("ExternalSecret %s is not ready: %s", name, firstLine(message)), nil
	}
	return fmt.Sprintf("ExternalSecret %s was not read yet: is External Secrets Operator running?", name), nil
}

// take gives the secrets what the store has of them, and finds out what is wrong
// with it: a value that could not be used is as good as none.
func (v *visit) take(opened vault.Vault, secrets []vault.Secret) {
	for i := range secrets {
		secret := &secrets[i]
		if !secret.Stored {
			continue
		}
		value := bytes.TrimSpace(v.given[secret.Name])
		if len(value) == 0 {
			continue
		}
		if err := opened.Check(v.state(secret.Name), secret.Kind, value); err != nil {
			v.storeProblems = append(v.storeProblems, fmt.Sprintf("the store's %s%s cannot be used: %v", v.stack.Spec.Secrets.External.KeyPrefix, secret.Name, err))
			continue
		}
		secret.Given = value
	}
}

// awaitStore stops a visit as long as a secret has no first value.
func (v *visit) awaitStore(secrets []vault.Secret, states []rotation.State) (Result, bool) {
	var lacking []string
	for _, secret := range secrets {
		known := slices.ContainsFunc(states, func(s rotation.State) bool { return s.Secret == secret.Name })
		if secret.Stored && !known && len(secret.Given) == 0 {
			lacking = append(lacking, secret.Name)
		}
	}
	if len(lacking) == 0 {
		return Result{}, false
	}
	problems := append(slices.Clone(v.storeProblems), "the store has no first value of "+strings.Join(lacking, ", "))
	v.set(v1alpha1.ConditionSecretsCurrent, metav1.ConditionFalse, reasonWaiting, strings.Join(problems, "; ")+".")
	return Result{Stop: true, RequeueAfter: storePoll}, true
}
