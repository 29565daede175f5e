package desired

import (
	"encoding/json"
	"slices"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/internal/topology"
)

const (
	// RoutesKey is the key of the gateway's routing table.
	RoutesKey = "routes.json"

	routesFolder = "/etc/commerce/routes"
)

// RoutesName is the name of the ConfigMap with the gateway's routing table.
func RoutesName(stack string) string {
	return ComponentName(stack, v1alpha1.ComponentGateway) + "-routes"
}

// ReadsRoutes holds where the gateway's pods read a routing table.
func ReadsRoutes(in Input) bool { return in.RenderRevision >= renderRoutes }

// Routed holds for components that the gateway sends requests to.
func Routed(name v1alpha1.ComponentName) bool {
	return slices.Contains(topology.Find(topology.Gateway).Calls, string(name))
}

// CanaryRoute gives a canary its share.
type CanaryRoute struct {
	// Component whose requests are shared.
	Component string `json:"component"`
	// URL of the canary.
	URL string `json:"url"`
	// Weight is the share in percent.
	Weight int32 `json:"weight"`
}

// routingTable is what the gateway reads.
type routingTable struct {
	Canaries []CanaryRoute `json:"canaries"`
}

// RoutesText is the content of a routing table.
func RoutesText(routes []CanaryRoute) string {
	table := routingTable{Canaries: slices.Clone(routes)}
	if table.Canaries == nil {
		table.Canaries = []CanaryRoute{}
	}
	text, _ := json.Marshal(table) // nothing here cannot be written
	return string(text)
}

// ParseRoutes reads the content of a routing table; what cannot be read gives nobody a share.
func ParseRoutes(text string) []CanaryRoute {
	var table routingTable
	_ = json.Unmarshal([]byte(text), &table)
	return table.Canaries
}

// Routes is the gateway's routing table. It changes in place, and pods read it again.
func Routes(in Input, routes []CanaryRoute) *corev1ac.ConfigMapApplyConfiguration {
	labels := Labels(in, partGateway)
	delete(labels, LabelVersion)
	return corev1ac.ConfigMap(RoutesName(in.Stack.Name), in.Stack.Namespace).WithLabels(labels).WithOwnerReferences(owner(in)).
		WithData(map[string]string{RoutesKey: RoutesText(routes)})
}

// routesVolume shows the routing table. Without one, nobody has a share.
func routesVolume(stack string) *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName("routes").
		WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(RoutesName(stack)).WithDefaultMode(secretMode).WithOptional(true))
}
