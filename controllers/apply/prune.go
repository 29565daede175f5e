package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Prune deletes the objects of a kind that carry the labels, belong to the owner
// and were not named in this visit. spare keeps some of them.
func (p *Pass) Prune(ctx context.Context, kind schema.GroupVersionKind, labels client.MatchingLabels, spare func(client.Object) bool) error {
	candidates, err := p.Unnamed(ctx, kind, labels)
	if err != nil {
		return err
	}
	for _, candidate := range candidates {
		if spare != nil && spare(candidate) {
			continue
		}
		if err := p.delete(ctx, kind, candidate); err != nil {
			return err
		}
	}
	return nil
}

// Unnamed are the objects that Prune would look at.
func (p *Pass) Unnamed(ctx context.Context, kind schema.GroupVersionKind, labels client.MatchingLabels) ([]client.Object, error) {
	list, err := p.applier.newList(kind)
	if err != nil {
		return nil, err
	}
	if err := p.applier.config.Client.List(ctx, list, client.InNamespace(p.owner.GetNamespace()), labels); err != nil {
		return nil, fmt.Errorf("list %s: %w", kind.Kind, err)
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind.Kind, err)
	}
	var out []client.Object
	for _, item := range items {
		object, ok := item.(client.Object)
		if !ok || object.GetDeletionTimestamp() != nil || !metav1.IsControlledBy(object, p.owner) {
			continue
		}
		if !p.named[key{kind: kind, namespace: object.GetNamespace(), name: object.GetName()}] {
			out = append(out, object)
		}
	}
	return out, nil
}

func (p *Pass) delete(ctx context.Context, kind schema.GroupVersionKind, object client.Object) error {
	p.Note(Deleted, kind.Kind, object.GetName())
	if p.dry {
		return nil
	}
	uid := object.GetUID()
	err := p.applier.config.Client.Delete(ctx, object, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete %s %s: %w", kind.Kind, object.GetName(), err)
	}
	p.applier.drop(p.owner.GetUID(), key{kind: kind, namespace: object.GetNamespace(), name: object.GetName()})
	deletes.WithLabelValues(kind.Kind).Inc()
	return nil
}

// newList is a typed list where the scheme knows the kind.
func (a *Applier) newList(kind schema.GroupVersionKind) (client.ObjectList, error) {
	plural := kind.GroupVersion().WithKind(kind.Kind + "List")
	if !a.config.Client.Scheme().Recognizes(plural) {
		foreign := &unstructured.UnstructuredList{}
		foreign.SetGroupVersionKind(plural)
		return foreign, nil
	}
	typed, err := a.config.Client.Scheme().New(plural)
	if err != nil {
		return nil, fmt.Errorf("make a %s: %w", plural.Kind, err)
	}
	list, ok := typed.(client.ObjectList)
	if !ok {
		return nil, fmt.Errorf("%s is not a list", plural.Kind)
	}
	return list, nil
}
