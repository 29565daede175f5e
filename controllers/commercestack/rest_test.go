package commercestack_test

import (
	"context"
	"maps"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// onWrite calls before ahead of each write, which does not happen if that fails.
func onWrite(before func(verb, kind, name string) error) interceptor.Funcs {
	check := func(verb string, o client.Object) error {
		return before(verb, o.GetObjectKind().GroupVersionKind().Kind, o.GetName())
	}
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := check("create", o); err != nil {
				return err
			}
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if err := check("update", o); err != nil {
				return err
			}
			return c.Update(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := check("delete", o); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := check("patch", o); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			name, kind := "", ""
			if object, ok := o.(client.Object); ok {
				name, kind = object.GetName(), object.GetObjectKind().GroupVersionKind().Kind
			}
			if err := before("apply", kind, name); err != nil {
				return err
			}
			return c.Apply(ctx, o, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := check("patch "+sub, o); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	}
}

// counting notes writes.
func counting(writes *writeLog) interceptor.Funcs {
	return onWrite(func(verb, kind, name string) error {
		writes.mu.Lock()
		defer writes.mu.Unlock()
		writes.seen = append(writes.seen, verb+" "+kind+" "+name)
		return nil
	})
}

// writeLog is what was written.
type writeLog struct {
	mu   sync.Mutex
	seen []string
}

// take returns what was written since the last time.
func (l *writeLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.seen
	l.seen = nil
	return seen
}

// versions are the resource versions of everything in the namespace.
func (w *world) versions(t *testing.T) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for _, list := range []client.ObjectList{
		&appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &corev1.SecretList{}, &corev1.ServiceList{}, &corev1.ServiceAccountList{},
		&corev1.ConfigMapList{}, &corev1.PersistentVolumeClaimList{}, &autoscalingv2.HorizontalPodAutoscalerList{}, &policyv1.PodDisruptionBudgetList{},
		&networkingv1.NetworkPolicyList{}, &networkingv1.IngressList{}, &v1alpha1.CommerceStackList{},
	} {
		w.list(t, list)
		items, err := meta.ExtractList(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			object := item.(client.Object)
			gvk, err := w.GroupVersionKindFor(object)
			if err != nil {
				t.Fatal(err)
			}
			versions[gvk.Kind+"/"+object.GetName()] = object.GetResourceVersion()
		}
	}
	return versions
}

func TestNothingIsWrittenAtRest(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]func(*testing.T, *world) *v1alpha1.CommerceStack{
		"development": func(_ *testing.T, w *world) *v1alpha1.CommerceStack { return w.development() },
		"production": func(t *testing.T, w *world) *v1alpha1.CommerceStack {
			t.Helper()
			return w.production(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var writes writeLog
			w := newWorld(t, withInterceptor(counting(&writes)))
			stack := w.install(t, create(t, w))
			stack = w.settle(t, stack) // the Jobs of the installation go
			before := w.versions(t)
			if len(writes.take()) == 0 {
				t.Error("nothing was sent: the counter counts nothing")
			}
			for range 3 {
				if _, err := w.visit(t.Context(), stack); err != nil {
					t.Fatal(err)
				}
			}
			if seen := writes.take(); len(seen) != 0 {
				t.Errorf("writes at rest: %v", seen)
			}
			// A new process finds everything as it should be.
			w.restart(t)
			w.settle(t, stack)
			if seen := writes.take(); len(seen) != 0 {
				t.Errorf("a new process wrote: %v", seen)
			}
			if after := w.versions(t); !maps.Equal(before, after) {
				for key, version := range after {
					if before[key] != version {
						t.Errorf("%s changed at rest", key)
					}
				}
			}
			writes.take()
			w.settle(t, stack)
			if seen := writes.take(); len(seen) != 0 {
				t.Errorf("writes at rest after a restart: %v", seen)
			}
		})
	}
}
