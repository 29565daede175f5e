package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// portKey is how the server tells the ports of a Service apart.
type portKey struct {
	port     int32
	protocol corev1.Protocol
}

func keyOf(port corev1.ServicePort) portKey {
	if port.Protocol == "" {
		port.Protocol = corev1.ProtocolTCP
	}
	return portKey{port.Port, port.Protocol}
}

// trimmed are the ports that a live Service is to have when it has others
// besides; nil when it has none. Applying does not remove them, because an entry
// of a list with keys belongs to whoever added it, and one that was given the
// name of a port of ours would let no apply succeed again.
func trimmed(want *wanted, live client.Object) ([]corev1.ServicePort, error) {
	found, ok := live.(*corev1.Service)
	if !ok {
		return nil, nil
	}
	var ours struct {
		Spec struct {
			Ports []corev1.ServicePort `json:"ports"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(want.data, &ours); err != nil {
		return nil, fmt.Errorf("read Service %s: %w", want.name, err)
	}
	isOurs := func(port corev1.ServicePort) bool {
		return slices.ContainsFunc(ours.Spec.Ports, func(own corev1.ServicePort) bool { return keyOf(own) == keyOf(port) })
	}
	if !slices.ContainsFunc(found.Spec.Ports, func(port corev1.ServicePort) bool { return !isOurs(port) }) {
		return nil, nil
	}
	ports := ours.Spec.Ports
	for i, own := range ports {
		// One that is there already keeps the port of the node that it was given.
		if at := slices.IndexFunc(found.Spec.Ports, func(port corev1.ServicePort) bool { return keyOf(own) == keyOf(port) }); at >= 0 {
			ports[i].NodePort = found.Spec.Ports[at].NodePort
		}
	}
	return ports, nil
}

// trim takes from a live Service the ports that others added.
func (p *Pass) trim(ctx context.Context, want *wanted, live client.Object) error {
	ports, err := trimmed(want, live)
	if err != nil || ports == nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{
		// What was not seen must not be undone: a newer version is a conflict.
		"metadata": map[string]any{"resourceVersion": live.GetResourceVersion()},
		"spec":     map[string]any{"ports": ports},
	})
	if err != nil {
		return fmt.Errorf("encode the ports of Service %s: %w", want.name, err)
	}
	target := &corev1.Service{}
	target.SetNamespace(want.namespace)
	target.SetName(want.name)
	if err := p.applier.config.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(p.applier.config.FieldManager)); err != nil {
		return fmt.Errorf("take ports that others added from Service %s: %w", want.name, err)
	}
	return nil
}
