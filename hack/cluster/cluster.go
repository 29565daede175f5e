package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/commercestack/commercestack/hack/cluster/host"
	"github.com/commercestack/commercestack/hack/cluster/layout"
	"github.com/commercestack/commercestack/hack/cluster/process"
)

// cluster is a node on this machine: the first, or the one of worker.
type cluster struct {
	layout     layout.Layout
	version    string
	progress   *progress
	supervisor process.Supervisor
	programs   map[string]string
}

func newCluster(place layout.Layout, version string) *cluster {
	return &cluster{
		layout:     place,
		version:    version,
		progress:   newProgress(os.Stdout),
		supervisor: process.Supervisor{Dir: place.Run(), Logs: place.Logs()},
	}
}

// components are the processes of a running node, in the order of their start.
// They end in the opposite order.
var components = []string{
	"etcd", "containerd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "node-agent", "kubelet",
}

// programNames are what the node runs on the machine itself; hack/tools pins them.
var programNames = []string{
	"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl",
}

// findPrograms builds what is missing; hack/tool prints where each one is.
func (c *cluster) findPrograms(ctx context.Context) error {
	c.programs = map[string]string{}
	for _, name := range programNames {
		path, err := toolPath(ctx, name)
		if err != nil {
			return err
		}
		c.programs[name] = path
	}
	agent := filepath.Join(c.layout.Bin(), "node-agent")
	err := host.Run(ctx, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", agent, "./hack/cluster/agent")
	if err != nil {
		return fmt.Errorf("build the node's agent: %w", err)
	}
	c.programs["node-agent"] = agent
	return nil
}

// alive tells how many of the components run.
func (c *cluster) alive() int {
	count := 0
	for _, name := range components {
		if c.supervisor.Alive(name) {
			count++
		}
	}
	return count
}

// kubectl runs kubectl as the cluster's administrator.
func (c *cluster) kubectl(ctx context.Context, input string, args ...string) (string, error) {
	if c.programs["kubectl"] == "" {
		path, err := toolPath(ctx, "kubectl")
		if err != nil {
			return "", err
		}
		c.programs = map[string]string{"kubectl": path}
	}
	return host.Output(ctx, input, append([]string{c.programs["kubectl"], "--kubeconfig", c.layout.Kubeconfig()}, args...)...)
}

func (c *cluster) printComponents(names []string) {
	for _, name := range names {
		state := "stopped"
		if c.supervisor.Alive(name) {
			state = "running"
		}
		fmt.Printf("%-24s %s\n", name, state)
	}
}

// status prints the components and the nodes.
func (c *cluster) status(ctx context.Context) error {
	c.printComponents(components)
	if worker := c.worker(); worker.exists() {
		fmt.Println(worker.layout.Node().Name)
		worker.printComponents(nodeComponents)
	}
	if c.alive() == 0 {
		return nil
	}
	out, err := c.kubectl(ctx, "", "get", "nodes,pods", "-A", "-o", "wide")
	fmt.Print(out)
	return err
}
