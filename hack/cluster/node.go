package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/commercestack/commercestack/hack/cluster/host"
	"github.com/commercestack/commercestack/hack/cluster/process"
	"github.com/commercestack/commercestack/hack/image/catalog"
)

// What can be done with the second node.
const (
	nodeAdd    = "node add"
	nodeLose   = "node lose"
	nodeRemove = "node remove"
)

var nodeCommands = []string{nodeAdd, nodeLose, nodeRemove}

// nodeComponents are the processes of the second node, in the order of their start.
var nodeComponents = []string{"containerd", "kube-proxy", "node-agent", "kubelet"}

var (
	errOneNode  = errors.New("kind gives no second node to a cluster that runs; without Docker and kind this works")
	errNoWorker = errors.New("there is no second node: cluster node add starts one")
)

// worker is the second node of the cluster.
func (c *cluster) worker() *cluster {
	place := c.layout.Worker()
	return &cluster{
		layout: place, version: c.version, progress: c.progress, programs: c.programs,
		supervisor: process.Supervisor{Dir: place.Run(), Logs: place.Logs()},
	}
}

// exists tells whether something of the node is there, running or not.
func (c *cluster) exists() bool {
	_, err := os.Stat(c.layout.State())
	return err == nil
}

// addNode starts a second node. One that was lost comes back empty, as a machine
// does whose disks were replaced.
func (c *cluster) addNode(ctx context.Context) error {
	if err := needRoot(); err != nil {
		return err
	}
	if err := c.apiReady(ctx); err != nil {
		return fmt.Errorf("no cluster answers (make cluster-up starts one): %w", err)
	}
	worker := c.worker()
	if worker.supervisor.Alive("kubelet") && worker.nodeReady(ctx) == nil {
		c.progress.line("the second node runs already")
		return nil
	}
	if err := worker.end(ctx); err != nil {
		return err
	}
	if err := c.findPrograms(ctx); err != nil {
		return err
	}
	worker.programs = c.programs
	if err := worker.prepareWorker(ctx); err != nil {
		return err
	}
	return worker.startWorker(ctx, c.loadedImages())
}

// loadedImages are the names of the images that the node has.
func (c *cluster) loadedImages() []string {
	marks, _ := filepath.Glob(c.layout.State("images", "*"))
	names := make([]string, 0, len(marks))
	for _, mark := range marks {
		names = append(names, filepath.Base(mark))
	}
	slices.Sort(names)
	return names
}

// prepareWorker makes what the node needs beside the first.
func (c *cluster) prepareWorker(ctx context.Context) error {
	if err := c.makeFolders(nodeComponents); err != nil {
		return err
	}
	if err := os.MkdirAll(c.layout.State(ownKubelet), 0o755); err != nil {
		return fmt.Errorf("make the node's folders: %w", err)
	}
	if err := host.MakeCgroup(c.layout.Node().CgroupRoot); err != nil {
		return err
	}
	if err := host.WorkerUp(ctx, c.layout); err != nil {
		return err
	}
	if err := c.writeKubeconfigs(c.layout.Node().Kubelet, userProxy, userAgent); err != nil {
		return err
	}
	return c.writeConfigs()
}

// startWorker starts the node and waits until pods can run there.
func (c *cluster) startWorker(ctx context.Context, images []string) error {
	arguments := c.nodeArguments()
	if err := c.start("containerd", arguments); err != nil {
		return err
	}
	if err := c.waitFor(ctx, "containerd", c.containerdReady); err != nil {
		return err
	}
	// A pod that came before its image would wait for the kubelet's next try.
	if err := c.load(ctx, append(slices.Clone(catalog.System()[:1]), images...)); err != nil {
		return err
	}
	for _, name := range nodeComponents[1:] {
		if err := c.start(name, arguments); err != nil {
			return err
		}
	}
	if err := c.waitFor(ctx, "kubelet", c.nodeReady); err != nil {
		return err
	}
	c.progress.line("the second node is Ready")
	return nil
}

// loseNode takes the second node away as a power cut does: its link first, so that
// nobody hears of the end of what is killed after it. The Node object stays.
func (c *cluster) loseNode(ctx context.Context) error {
	if err := needRoot(); err != nil {
		return err
	}
	worker := c.worker()
	if !worker.supervisor.Alive("kubelet") {
		return errNoWorker
	}
	if err := host.CutWorker(ctx, c.layout, worker.layout); err != nil {
		return err
	}
	c.progress.line("the link to the second node is cut")
	if err := worker.kill(ctx); err != nil {
		return err
	}
	c.progress.line("all that ran on the second node is dead")
	return nil
}

// kill ends all processes of the node by force, those that start others first.
func (c *cluster) kill(ctx context.Context) error {
	for _, name := range slices.Backward(nodeComponents) {
		if c.supervisor.Alive(name) {
			if err := c.supervisor.Signal(name, syscall.SIGKILL); err != nil && c.supervisor.Alive(name) {
				return err
			}
		}
	}
	if err := host.EndCgroup(ctx, c.layout.Node().CgroupRoot); err != nil {
		return err
	}
	if err := c.endShims(); err != nil {
		return err
	}
	for _, name := range c.supervisor.Names() {
		if err := c.supervisor.Stop(name, grace); err != nil {
			return err
		}
	}
	return nil
}

// removeNode removes the second node, whether or not it was lost before, and its
// object: Kubernetes then forgets the pods it had.
func (c *cluster) removeNode(ctx context.Context) error {
	if err := needRoot(); err != nil {
		return err
	}
	worker := c.worker()
	if !worker.exists() {
		return errNoWorker
	}
	if err := worker.end(ctx); err != nil {
		return err
	}
	if _, err := c.kubectl(ctx, "", "delete", "node", worker.layout.Node().Name, "--ignore-not-found"); err != nil {
		return fmt.Errorf("delete the second node's object: %w", err)
	}
	c.progress.line("the second node is gone")
	return nil
}

// end removes what is left of the second node on this machine.
func (c *cluster) end(ctx context.Context) error {
	if !c.exists() {
		return nil
	}
	sockets := host.ShimSockets(c.layout.Run("containerd"))
	if err := c.kill(ctx); err != nil {
		return err
	}
	if err := host.UnmountBelow(c.layout.State()); err != nil {
		return err
	}
	if err := host.WorkerDown(ctx, c.layout); err != nil {
		return err
	}
	host.RemoveTraces(c.layout, sockets)
	if err := os.RemoveAll(c.layout.State()); err != nil {
		return fmt.Errorf("remove the second node's files: %w", err)
	}
	return nil
}

// ownKubelet is the folder that the second node's processes see in place of the
// machine's, where a kubelet has a socket that no setting moves.
const ownKubelet = "var-lib-kubelet"

// inOwnMounts is the command that runs args among the mounts of the second node.
// containerd makes them; the others join it, since they must see each other's.
func (c *cluster) inOwnMounts(name string, args []string) ([]string, error) {
	if name == "containerd" {
		return host.WithOwnMounts(c.layout.State(ownKubelet), args...), nil
	}
	pid, err := c.supervisor.PID("containerd")
	if err != nil {
		return nil, err
	}
	return host.AmongMountsOf(pid, args...), nil
}
