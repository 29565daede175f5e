// Package layout says where the local cluster keeps its files and which
// addresses and names it uses. Everything lives in one folder of the user's
// cache, in a network namespace of its own and in a control group of its own, so
// that no other cluster or container engine on the machine is ever touched.
package layout

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Names and addresses. The ranges are unusual on purpose: they must not meet
// networks that the machine already routes.
const (
	// NodeName is the name of the first node, which runs the control plane.
	NodeName = "commercestack"
	// WorkerName is the name of the second node, which can be added and lost.
	WorkerName = "commercestack-worker"
	// HostLink is the machine's end of the link into the node's network namespace.
	HostLink = "cstack0"
	// HostIP is the machine's address on that link.
	HostIP = "10.199.0.1"
	// NodeIP is the node's address: the API server and the kubelet listen on it.
	NodeIP = "10.199.0.2"
	// LinkPrefix is the prefix length of a link's network.
	LinkPrefix = "30"
	// WorkerLink is the first node's end of the link to the second.
	WorkerLink = "worker0"
	// GatewayIP is the first node's address on that link.
	GatewayIP = "10.199.0.9"
	// WorkerIP is the second node's address on it: its kubelet listens there.
	WorkerIP = "10.199.0.10"
	// PodCIDR is the range of pod addresses.
	PodCIDR = "10.199.128.0/17"
	// NodePodCIDR is the first node's half of it.
	NodePodCIDR = "10.199.128.0/18"
	// WorkerPodCIDR is the second node's half of it.
	WorkerPodCIDR = "10.199.192.0/18"
	// ServiceCIDR is the range of ClusterIP addresses.
	ServiceCIDR = "10.200.0.0/16"
	// APIServiceIP is the ClusterIP of the API server, the first of the range.
	APIServiceIP = "10.200.0.1"
	// DNSServiceIP is the ClusterIP of the cluster's DNS.
	DNSServiceIP = "10.200.0.10"
	// Domain is the DNS domain of the cluster.
	Domain = "cluster.local"
	// CgroupRoot holds the control groups of the first node's pods.
	CgroupRoot = "/commercestack-cluster"
	// WorkerCgroupRoot holds those of the second node's.
	WorkerCgroupRoot = "/commercestack-cluster-worker"
	// Provisioner is the name that a StorageClass chooses the cluster's volumes by.
	Provisioner = "commercestack.local/folder"
	// CNINetwork is the name of the pod network.
	CNINetwork = "commercestack-cluster"
)

// Layout is the cluster's folder as one of its nodes sees it.
type Layout struct {
	// Root holds State and what survives cluster-down: images, packages, logs.
	Root string
	// Second is true for the second node, which has folders of its own.
	Second bool
}

// Worker is the same cluster as its second node sees it.
func (l Layout) Worker() Layout { return Layout{Root: l.Root, Second: true} }

// Node is what tells one node of the cluster from the other.
type Node struct {
	// Name is the node's name in the API.
	Name string
	// IP is the address that its kubelet listens on.
	IP string
	// PodCIDR is the range of its pods' addresses.
	PodCIDR string
	// CgroupRoot holds the control groups of its pods.
	CgroupRoot string
	// Kubelet is the kubelet's user, and the base name of its certificate.
	Kubelet string
}

// Node is the node whose folders these are.
func (l Layout) Node() Node {
	if l.Second {
		return Node{Name: WorkerName, IP: WorkerIP, PodCIDR: WorkerPodCIDR, CgroupRoot: WorkerCgroupRoot, Kubelet: "kubelet-worker"}
	}
	return Node{Name: NodeName, IP: NodeIP, PodCIDR: NodePodCIDR, CgroupRoot: CgroupRoot, Kubelet: "kubelet"}
}

// Default is the folder in the user's cache.
func Default() (Layout, error) {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return Layout{}, fmt.Errorf("find the cache folder (set HOME or XDG_CACHE_HOME): %w", err)
		}
		cache = filepath.Join(home, ".cache")
	}
	return Layout{Root: filepath.Join(cache, "commercestack", "cluster")}, nil
}

// Kubeconfig is the file that users point KUBECONFIG at.
func (l Layout) Kubeconfig() string { return filepath.Join(l.Root, "kubeconfig") }

// Images holds the built image archives; they survive cluster-down.
func (l Layout) Images() string { return filepath.Join(l.Root, "images") }

// Logs holds a log per process of the last run.
func (l Layout) Logs() string { return filepath.Join(append([]string{l.Root, "log"}, l.own()...)...) }

// Bin holds the programs that are built from this repository.
func (l Layout) Bin() string { return filepath.Join(l.Root, "bin") }

// State holds everything that belongs to one run of the cluster and is removed
// by cluster-down. The second node's lies inside the first's.
func (l Layout) State(elements ...string) string {
	return filepath.Join(slices.Concat([]string{l.Root, "state"}, l.own(), elements)...)
}

// own is the second node's folder within another.
func (l Layout) own() []string {
	if l.Second {
		return []string{"worker"}
	}
	return nil
}

// PKI holds keys and certificates, those of both nodes.
func (l Layout) PKI(elements ...string) string {
	return filepath.Join(append([]string{l.Root, "state", "pki"}, elements...)...)
}

// Config holds rendered configuration files.
func (l Layout) Config(elements ...string) string {
	return l.State(append([]string{"config"}, elements...)...)
}

// Run holds process records and sockets.
func (l Layout) Run(elements ...string) string {
	return l.State(append([]string{"run"}, elements...)...)
}

// Namespace is the file on which the node's network namespace is mounted.
func (l Layout) Namespace() string { return l.Run("node.netns") }

// ContainerdSocket is the socket of the cluster's own containerd.
func (l Layout) ContainerdSocket() string { return l.Run("containerd.sock") }

// Volumes holds a folder for each dynamically provisioned volume of the node.
func (l Layout) Volumes() string { return l.State("volumes") }

// APIServer is the address of the API server.
func (l Layout) APIServer() string { return "https://" + NodeIP + ":6443" }
