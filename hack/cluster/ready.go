package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/commercestack/commercestack/hack/cluster/host"
)

// processors is how many cores the components may use at once; on a machine with
// more than four they would only spread, not gain.
func processors() string { return strconv.Itoa(min(4, runtime.NumCPU())) }

func (c *cluster) containerdReady(ctx context.Context) error {
	return host.Run(ctx, c.ctr("version")...)
}

// ctr is the command line of containerd's client for the cluster's own daemon.
func (c *cluster) ctr(args ...string) []string {
	return append([]string{"ctr", "--address", c.layout.ContainerdSocket(), "--namespace", "k8s.io"}, args...)
}

func (c *cluster) apiReady(ctx context.Context) error {
	_, err := c.kubectl(ctx, "", "get", "--raw", "/readyz", "--request-timeout=5s")
	return err
}

func (c *cluster) nodeReady(ctx context.Context) error {
	out, err := c.kubectl(ctx, "", "get", "node", c.layout.Node().Name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	if err != nil {
		return err
	}
	if strings.TrimSpace(out) != "True" {
		return errors.New("the node is not Ready yet")
	}
	return nil
}

// applyManifests applies the cluster's own objects; the namespace kube-system and
// its default account are made by the API server a moment after its start.
func (c *cluster) applyManifests(ctx context.Context, names ...string) error {
	for _, name := range names {
		text, err := render("manifests/"+name+".yaml", newValues(c.layout))
		if err != nil {
			return err
		}
		err = c.waitFor(ctx, "kube-apiserver", func(ctx context.Context) error {
			_, err := c.kubectl(ctx, text, "apply", "--server-side", "--force-conflicts", "-f", "-")
			return err
		})
		if err != nil {
			return fmt.Errorf("apply %s: %w", name, err)
		}
	}
	return nil
}

// waitForAddons waits until DNS and metrics can be used.
func (c *cluster) waitForAddons(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, args := range [][]string{
		{"rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=180s"},
		{"rollout", "status", "deployment/metrics-server", "-n", "kube-system", "--timeout=180s"},
		{"wait", "apiservice/v1beta1.metrics.k8s.io", "--for=condition=Available", "--timeout=180s"},
	} {
		group.Go(func() error {
			if _, err := c.kubectl(ctx, "", args...); err != nil {
				return fmt.Errorf("wait for the cluster's own pods: %w\n%s", err, c.describeAddons(context.WithoutCancel(ctx)))
			}
			return nil
		})
	}
	return group.Wait()
}

// describeAddons is what one would look at first when they do not start.
func (c *cluster) describeAddons(ctx context.Context) string {
	pods, _ := c.kubectl(ctx, "", "get", "pods", "-n", "kube-system")
	var out strings.Builder
	out.WriteString(pods)
	for _, name := range []string{"coredns", "metrics-server"} {
		logs, _ := c.kubectl(ctx, "", "logs", "-n", "kube-system", "deployment/"+name, "--tail=5")
		fmt.Fprintf(&out, "%s: %s\n", name, strings.TrimSpace(logs))
	}
	return out.String()
}
