package commercestack

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/apply"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/internal/pki"
)

var kindSecret = corev1.SchemeGroupVersion.WithKind("Secret")

func (v *visit) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: v.stack.Namespace, Name: name}
}

// secret reads one of our own Secrets, an empty one when it is not there.
func (v *visit) secret(ctx context.Context, name string) (*corev1.Secret, error) {
	v.pass.Name(kindSecret, v.stack.Namespace, name)
	secret := &corev1.Secret{}
	err := v.Client.Get(ctx, v.key(name), secret)
	if missing(err) {
		// A Secret whose label was taken away is not in the cache, but is there.
		err = v.Live.Get(ctx, v.key(name), secret)
	}
	if missing(err) {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v.stack.Namespace, Name: name}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	return secret, nil
}

// storeSecret writes a Secret that is replaced in place. Two writers cannot both
// win: creating fails if it is there, updating if it has changed.
func (v *visit) storeSecret(ctx context.Context, old *corev1.Secret, kind corev1.SecretType, data map[string][]byte, part string) (bool, error) {
	secret := old.DeepCopy()
	secret.Data = data
	secret.Labels = merge(secret.Labels, desired.Labels(v.in, part))
	delete(secret.Labels, desired.LabelVersion) // a new version is no new certificate
	if part == desired.NamePostgres && v.in.PostgresMode == v1alpha1.DataManaged {
		secret.Labels[desired.LabelReload] = "" // CloudNativePG watches it
	}
	secret.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(v.stack, v1alpha1.GroupVersion.WithKind("CommerceStack"))}
	if old.ResourceVersion == "" {
		secret.Type = kind
		return v.writeSecret(ctx, secret, true)
	}
	if v.answering != old.Name && pki.Equal(old.Data, data) && maps.Equal(old.Labels, secret.Labels) && ownedAlready(old, secret) {
		return false, nil
	}
	return v.writeSecret(ctx, secret, false)
}

func ownedAlready(old, wanted *corev1.Secret) bool {
	return len(old.OwnerReferences) == 1 && old.OwnerReferences[0].UID == wanted.OwnerReferences[0].UID
}

func merge(base, over map[string]string) map[string]string {
	out := maps.Clone(base)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, over)
	return out
}

// writeSecret creates or updates. A conflict is an error that is tried again: the
// next visit sees what the other writer wrote.
func (v *visit) writeSecret(ctx context.Context, secret *corev1.Secret, create bool) (bool, error) {
	verb := apply.Updated
	if create {
		verb = apply.Created
	}
	v.pass.Note(verb, kindSecret.Kind, secret.Name)
	if v.pass.Dry() {
		return false, nil
	}
	var err error
	if create {
		err = v.Client.Create(ctx, secret, client.FieldOwner(FieldManager))
	} else {
		err = v.Client.Update(ctx, secret, client.FieldOwner(FieldManager))
	}
	if err != nil {
		return false, fmt.Errorf("%s Secret %s: %w", verb, secret.Name, hide(err))
	}
	return true, nil
}

// hide keeps an answer of the server that quotes an object out of errors: the
// object is a Secret.
func hide(err error) error {
	if reason := apierrors.ReasonForError(err); reason == metav1.StatusReasonInvalid {
		return fmt.Errorf("the server refused it")
	}
	return err
}
