package commercestack_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/commercestack/vault"
)

// secretStore plays a store and External Secrets Operator before it.
type secretStore struct{ values map[string]string }

// newSecretStore is a store with everything that a stack wants from it.
func newSecretStore() *secretStore {
	s := &secretStore{values: map[string]string{
		"shop/identity-keys": storedKey("i1", 1), "shop/encryption-keys": storedKey("e1", 1), "shop/redis": "redis-password-of-the-store-1",
	}}
	for _, component := range desired.DataComponents() {
		s.values["shop/"+vault.LoginName(string(component))] = fmt.Sprintf("%s-password-of-the-store-1", component)
	}
	return s
}

func storedKey(id string, fill byte) string {
	return id + ":" + base64.StdEncoding.EncodeToString(slices.Repeat([]byte{fill}, 32))
}

// sync does what External Secrets Operator does: it makes the Secret of what the
// store has, or says what the store lacks.
func (s *secretStore) sync(t *testing.T, w *world) {
	t.Helper()
	external := &unstructured.Unstructured{}
	external.SetGroupVersionKind(schema.GroupVersionKind{Group: "external-secrets.io", Version: "v1", Kind: "ExternalSecret"})
	if err := w.Get(t.Context(), key(w.namespace, "shop-external"), external); err != nil {
		if errors.IsNotFound(err) {
			return
		}
		t.Fatal(err)
	}
	status, message := "True", "secret synced"
	data := map[string][]byte{}
	entries, _, _ := unstructured.NestedSlice(external.Object, "spec", "data")
	for _, entry := range entries {
		object, _ := entry.(map[string]any)
		name, _, _ := unstructured.NestedString(object, "secretKey")
		remote, _, _ := unstructured.NestedString(object, "remoteRef", "key")
		value, ok := s.values[remote]
		if !ok {
			status, message = "False", "could not get "+remote
			break
		}
		data[name] = []byte(value)
	}
	labels, _, _ := unstructured.NestedStringMap(external.Object, "spec", "target", "template", "metadata", "labels")
	if status == "True" {
		s.write(t, w, external, labels, data)
	}
	conditions := []any{map[string]any{"type": "Ready", "status": status, "reason": "Test", "message": message, "lastTransitionTime": metav1.Now().UTC().Format("2006-01-02T15:04:05Z")}}
	if err := unstructured.SetNestedSlice(external.Object, conditions, "status", "conditions"); err != nil {
		t.Fatal(err)
	}
	if err := w.Status().Update(t.Context(), external); err != nil {
		t.Fatal(err)
	}
}

func (s *secretStore) write(t *testing.T, w *world, owner client.Object, labels map[string]string, data map[string][]byte) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop-external", Labels: labels, OwnerReferences: []metav1.OwnerReference{
		*metav1.NewControllerRef(owner, owner.GetObjectKind().GroupVersionKind()),
	}}, Data: data}
	err := w.Create(t.Context(), secret.DeepCopy())
	if errors.IsAlreadyExists(err) {
		found := &corev1.Secret{ObjectMeta: secret.ObjectMeta}
		w.edit(t, found, func() { found.Data, found.Labels = maps.Clone(data), labels })
		return
	}
	if err != nil {
		t.Fatal(err)
	}
}

func fromStore(stack *v1alpha1.CommerceStack) {
	stack.Spec.Secrets.Source = v1alpha1.SecretsExternal
	stack.Spec.Secrets.External = &v1alpha1.ExternalStoreSpec{SecretStoreRef: v1alpha1.SecretStoreRef{Name: "vault"}, KeyPrefix: "shop/"}
}

// A stack begins with the store's values, and takes over what changes there one
// by one, while nothing that pods use is ever refused (see shop.check).
func TestSecretsComeFromAStore(t *testing.T) {
	t.Parallel()
	s, store := newShop(t), newSecretStore()
	fromStore(s.stack)
	login := vault.LoginName("order")
	first := store.values["shop/"+login]
	delete(store.values, "shop/"+login)
	s.create(t, s.stack)
	for range 4 {
		if _, err := s.visit(t.Context(), s.stack); err != nil {
			t.Fatal(err)
		}
		store.sync(t, s.world)
	}
	s.stack = s.read(t, s.stack)
	if c := condition(t, s.stack, v1alpha1.ConditionSecretsCurrent); c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "could not get shop/"+login) {
		t.Fatalf("while the store lacks a value: %+v", c)
	}
	if !s.gone(t, &corev1.Secret{}, "shop-vault") {
		t.Fatal("values were made although the store has them")
	}
	store.values["shop/"+login] = first
	holds := func(secret, want string) bool {
		state := s.state(t, secret)
		return state.Idle() && strings.Join(s.value(t, state), "\n") == want
	}
	s.live(t, "Ready", func() bool {
		store.sync(t, s.world)
		return isTrue(s.stack, v1alpha1.ConditionReady) && !isTrue(s.stack, v1alpha1.ConditionReconciling)
	})
	for key, value := range store.values {
		if name := strings.TrimPrefix(key, "shop/"); !holds(name, value) {
			t.Errorf("%s is not that of the store", name)
		}
	}

	for name, value := range map[string]string{login: "another-password-of-order-2", vault.NameIdentity: storedKey("i2", 2), vault.NameEncryption: storedKey("e2", 2)} {
		store.values["shop/"+name] = value
	}
	s.live(t, "the store's new values", func() bool {
		store.sync(t, s.world)
		return holds(login, "another-password-of-order-2") && holds(vault.NameIdentity, storedKey("i2", 2)) && holds(vault.NameEncryption, storedKey("e2", 2))
	})
	if state := s.state(t, vault.LoginName("user")); state.Active != "1a" {
		t.Errorf("what did not change in the store went to version %s", state.Active)
	}

	// What cannot be used is said, and changes nothing.
	store.values["shop/"+login], store.values["shop/"+vault.NameEncryption] = "short", storedKey("e2", 3)
	store.sync(t, s.world)
	s.stack = s.settle(t, s.stack)
	c := condition(t, s.stack, v1alpha1.ConditionSecretsCurrent)
	if c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "shop/"+login) || !strings.Contains(c.Message, "an id of its own") || strings.Contains(c.Message, "short") {
		t.Errorf("of values that cannot be used it says %s", c.Message)
	}
	if !holds(login, "another-password-of-order-2") || !holds(vault.NameEncryption, storedKey("e2", 2)) {
		t.Error("a value that cannot be used was taken")
	}

	// A person cannot rotate what the store has, but what auth makes.
	s.ask(t, login, "now")
	s.stack = s.settle(t, s.stack)
	if state := s.state(t, login); !strings.Contains(state.LastError, "comes from a store") {
		t.Errorf("asked to rotate it says %q", state.LastError)
	}
}

// A running stack goes over to a store one secret after the other.
func TestAStackGoesOverToAStore(t *testing.T) {
	t.Parallel()
	s, store := newShop(t), newSecretStore()
	s.open(t)
	s.stack = s.change(t, s.stack, fromStore)
	s.live(t, "the store's values", func() bool {
		store.sync(t, s.world)
		for key, value := range store.values {
			state := s.state(t, strings.TrimPrefix(key, "shop/"))
			if !state.Idle() || strings.Join(s.value(t, state), "\n") != value {
				return false
			}
		}
		return true
	})
}

func TestAStoreWithoutExternalSecretsOperatorIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withInterceptor(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if key.Name == "externalsecrets.external-secrets.io" {
				return errors.NewNotFound(schema.GroupResource{Resource: "customresourcedefinitions"}, key.Name)
			}
			return c.Get(ctx, key, object, options...)
		},
	}))
	stack := w.development()
	fromStore(stack)
	stack = w.settle(t, w.create(t, stack))
	if c := condition(t, stack, v1alpha1.ConditionStalled); c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "install External Secrets Operator") {
		t.Errorf("it says %s: %s", c.Status, c.Message)
	}
}
