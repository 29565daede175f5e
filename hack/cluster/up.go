package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/commercestack/commercestack/hack/cluster/host"
	"github.com/commercestack/commercestack/hack/cluster/process"
	"github.com/commercestack/commercestack/hack/image/catalog"
)

// readyWithin bounds the wait for one component; a busy machine needs most of it.
const readyWithin = 3 * time.Minute

// up starts the cluster, or returns at once when it runs.
func (c *cluster) up(ctx context.Context) error {
	if err := needRoot(); err != nil {
		return err
	}
	if c.alive() == len(components) && c.apiReady(ctx) == nil {
		c.progress.line("the node runs already")
		if _, err := os.Stat(c.layout.Run("complete")); err == nil {
			c.printKubeconfig()
			return nil
		}
		// An earlier start was broken off after the node was there.
		if err := errors.Join(c.load(ctx, catalog.System()), c.applyManifests(ctx, "node", "coredns", "metrics-server")); err != nil {
			return err
		}
		return c.complete(ctx)
	}
	if _, err := os.Stat(c.layout.State()); err == nil {
		c.progress.line("an earlier cluster was not taken down: removing what is left of it")
		if err := c.remove(ctx); err != nil {
			return err
		}
	}
	if err := host.RefuseSecondKubelet(ctx); err != nil {
		return err
	}
	if err := c.findPrograms(ctx); err != nil {
		return err
	}
	c.progress.line("programs are built")
	if err := c.prepare(ctx); err != nil {
		return err
	}
	c.progress.line("network, certificates and configuration are made")
	if err := c.startAll(ctx); err != nil {
		return err
	}
	return c.complete(ctx)
}

// complete waits for the last pods of a new cluster and remembers that it is whole.
func (c *cluster) complete(ctx context.Context) error {
	if err := c.waitForAddons(ctx); err != nil {
		return err
	}
	c.progress.line("DNS and metrics answer: the cluster is ready")
	if err := os.WriteFile(c.layout.Run("complete"), nil, 0o600); err != nil {
		return fmt.Errorf("remember that the cluster is ready: %w", err)
	}
	c.printKubeconfig()
	return nil
}

func (c *cluster) printKubeconfig() {
	fmt.Printf("export KUBECONFIG=%s\n", c.layout.Kubeconfig())
}

// prepare makes folders, network, control groups, certificates and configuration.
func (c *cluster) prepare(ctx context.Context) error {
	if err := c.makeFolders(components); err != nil {
		return err
	}
	if err := host.SaveSettings(c.layout.Run("settings")); err != nil {
		return err
	}
	if err := host.MakeCgroup(c.layout.Node().CgroupRoot); err != nil {
		return err
	}
	if err := host.NetworkUp(ctx, c.layout); err != nil {
		return err
	}
	if err := c.makeTrust(); err != nil {
		return err
	}
	return c.writeConfigs()
}

// makeFolders makes the node's folders and removes the logs of its last run.
func (c *cluster) makeFolders(components []string) error {
	for _, dir := range []string{c.layout.Run(), c.layout.Config(), c.layout.Logs(), c.layout.Volumes(), c.layout.State("kubelet")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the node's folders: %w", err)
		}
	}
	for _, name := range components {
		if err := os.RemoveAll(c.supervisor.LogFile(name)); err != nil {
			return fmt.Errorf("remove an old log: %w", err)
		}
	}
	return nil
}

// startAll starts the components, each as soon as what it needs is there.
func (c *cluster) startAll(ctx context.Context) error {
	arguments := c.arguments()
	group, ctx := errgroup.WithContext(ctx)
	pause, api := make(chan struct{}), make(chan struct{})
	group.Go(func() error {
		if err := c.start("containerd", arguments); err != nil {
			return err
		}
		if err := c.waitFor(ctx, "containerd", c.containerdReady); err != nil {
			return err
		}
		c.progress.line("containerd answers")
		// The kubelet needs one image to be Ready.
		if err := c.load(ctx, catalog.System()[:1]); err != nil {
			return err
		}
		close(pause)
		if err := c.load(ctx, catalog.System()[1:]); err != nil {
			return err
		}
		// A pod that came before its image would wait for the kubelet's next try.
		if err := await(ctx, api); err != nil {
			return err
		}
		return c.applyManifests(ctx, "coredns", "metrics-server")
	})
	group.Go(func() error {
		if err := c.startControlPlane(ctx, arguments); err != nil {
			return err
		}
		close(api)
		if err := await(ctx, pause); err != nil {
			return err
		}
		if err := c.start("kubelet", arguments); err != nil {
			return err
		}
		if err := c.waitFor(ctx, "kubelet", c.nodeReady); err != nil {
			return err
		}
		c.progress.line("the node is Ready")
		return nil
	})
	return group.Wait()
}

// startControlPlane starts what needs no containers.
func (c *cluster) startControlPlane(ctx context.Context, arguments map[string][]string) error {
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if err := c.start(name, arguments); err != nil {
			return err
		}
	}
	if err := c.waitFor(ctx, "kube-apiserver", c.apiReady); err != nil {
		return err
	}
	c.progress.line("the API server is ready")
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "kube-proxy"} {
		if err := c.start(name, arguments); err != nil {
			return err
		}
	}
	// The agent's rights come with the manifest.
	if err := c.applyManifests(ctx, "node"); err != nil {
		return err
	}
	return c.start("node-agent", arguments)
}

func await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *cluster) start(name string, arguments map[string][]string) error {
	args := arguments[name]
	if c.layout.Second {
		var err error
		if args, err = c.inOwnMounts(name, args); err != nil {
			return err
		}
	}
	return c.supervisor.Start(process.Spec{
		Name: name,
		Args: host.InNamespace(c.layout, args...),
		Env:  []string{"GOMAXPROCS=" + processors(), "GODEBUG=", "KUBECONFIG="},
	})
}

// waitFor asks until the component is ready, it ends, or time is up.
func (c *cluster) waitFor(ctx context.Context, name string, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if !c.supervisor.Alive(name) {
			return fmt.Errorf("%s ended; the end of %s:\n%s", name, c.supervisor.LogFile(name), c.logTail(name))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %s: %w; its log is %s", name, readyWithin, err, c.supervisor.LogFile(name))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (c *cluster) logTail(name string) string {
	data, _ := os.ReadFile(c.supervisor.LogFile(name))
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
