// Command coredns is CoreDNS with the plug-ins that a cluster's DNS uses. Upstream's
// program brings those of every cloud, which take longer to compile than all of
// Kubernetes.
package main

import (
	_ "github.com/coredns/coredns/core/dnsserver" // the server itself
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/metrics" // the directive prometheus
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
)

func main() {
	coremain.Run()
}
