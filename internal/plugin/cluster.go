package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// fieldOwner is the field manager of what the plugin writes.
const fieldOwner = "kubectl-commerce"

// cluster is the API server that the command line names.
type cluster struct {
	client.Client

	namespace string
}

// connect reads the kubeconfig. Nothing is sent yet.
func (o options) connect() (cluster, error) {
	config, err := o.flags.ToRESTConfig()
	if err != nil {
		return cluster{}, fmt.Errorf("kubeconfig: %w", err)
	}
	namespace, _, err := o.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return cluster{}, fmt.Errorf("kubeconfig: %w", err)
	}
	// What the API server warns of is the user's business, what the client library logs is not.
	log.SetLogger(logr.Discard())
	config.QPS, config.Burst = 50, 300
	config.WarningHandler = rest.NewWarningWriter(o.streams.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
	kinds := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(kinds), v1alpha1.AddToScheme(kinds)); err != nil {
		return cluster{}, err
	}
	c, err := client.New(config, client.Options{Scheme: kinds})
	if err != nil {
		return cluster{}, err
	}
	return cluster{Client: client.WithFieldOwner(c, fieldOwner), namespace: namespace}, nil
}

// stack is the stack of that name, or the only one of the namespace without a name.
func (c cluster) stack(ctx context.Context, name string) (v1alpha1.CommerceStack, error) {
	stacks, err := c.stacks(ctx, c.namespace, name)
	if err != nil {
		return v1alpha1.CommerceStack{}, err
	}
	if len(stacks) > 1 {
		names := make([]string, len(stacks))
		for i := range stacks {
			names[i] = stacks[i].Name
		}
		return v1alpha1.CommerceStack{}, fmt.Errorf("namespace %s has several stacks, name one of %s", c.namespace, strings.Join(names, ", "))
	}
	return stacks[0], nil
}

// stacks is the stack of that name, or every one of the namespace; of all
// namespaces when that is empty. None is an error.
func (c cluster) stacks(ctx context.Context, namespace, name string) ([]v1alpha1.CommerceStack, error) {
	if name != "" {
		var stack v1alpha1.CommerceStack
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &stack); err != nil {
			return nil, explain(err)
		}
		return []v1alpha1.CommerceStack{stack}, nil
	}
	var list v1alpha1.CommerceStackList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, explain(err)
	}
	if len(list.Items) == 0 {
		if namespace == "" {
			return nil, errors.New("no CommerceStack in any namespace")
		}
		return nil, fmt.Errorf("no CommerceStack in namespace %s", namespace)
	}
	return list.Items, nil
}

// explain says what a missing kind means.
func explain(err error) error {
	if meta.IsNoMatchError(err) {
		return errors.New("this cluster does not know CommerceStacks: the operator's chart is not installed")
	}
	return err
}
