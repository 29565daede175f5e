package catalog

import (
	"fmt"

	"github.com/commercestack/commercestack/hack/image/oci"
)

// Names of the cluster's own images. They are loaded, never pulled.
const (
	// Pause holds a pod's namespaces.
	Pause = "commercestack/pause:1"
	// CoreDNS is the cluster's DNS.
	CoreDNS = "commercestack/coredns:1"
	// MetricsServer feeds autoscalers.
	MetricsServer = "commercestack/metrics-server:1"
	// Probe is what the cluster's check runs in its pods.
	Probe = "commercestack/probe:1"
)

func (c *Catalog) recipes() map[string]recipe {
	single := func(ref, entrypoint string, content programs) recipe {
		return recipe{
			ref: ref, inputs: content.inputs, layer: content.layer,
			config: oci.Config{Entrypoint: []string{entrypoint}, Env: []string{"PATH=/"}},
		}
	}
	stack := shop()
	stack.ref = "commercestack/commercestack:" + c.Version
	return map[string]recipe{
		"pause":          single(Pause, "/pause", programs{paths: built("pause", "hack/image/pause"), dir: "/"}),
		"probe":          single(Probe, "/probe", programs{paths: built("probe", "hack/image/probe"), dir: "/"}),
		"coredns":        single(CoreDNS, "/coredns", programs{paths: tool("coredns"), dir: "/"}),
		"metrics-server": single(MetricsServer, "/metrics-server", programs{paths: tool("metrics-server"), dir: "/"}),
		"commercestack":  stack,
		"postgres":       postgres(),
		"redis":          redis(),
		"golang":         golang(),
	}
}

// user is a line of /etc/passwd and /etc/group.
type user struct {
	name string
	id   int
	home string
}

func (u user) passwd() string {
	return fmt.Sprintf("%s:x:%d:%[2]d::%s:/bin/bash\n", u.name, u.id, u.home)
}
func (u user) group() string { return fmt.Sprintf("%s:x:%d:\n", u.name, u.id) }
