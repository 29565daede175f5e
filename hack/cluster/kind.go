package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/commercestack/commercestack/hack/cluster/host"
	"github.com/commercestack/commercestack/hack/cluster/layout"
	"github.com/commercestack/commercestack/hack/image/catalog"
)

// kindName is the name of the cluster in kind.
const kindName = "commercestack"

// kind runs the cluster in a Docker engine.
type kind struct {
	layout   layout.Layout
	version  string
	progress *progress
}

// kindWorks tells whether a Docker engine answers and kind is installed.
func kindWorks(ctx context.Context) bool {
	return host.Run(ctx, "kind", "version") == nil && host.Run(ctx, "docker", "info") == nil
}

func (k *kind) running(ctx context.Context) bool {
	out, err := host.Output(ctx, "", "kind", "get", "clusters")
	if err != nil {
		return false
	}
	for line := range strings.Lines(out) {
		if strings.TrimSpace(line) == kindName {
			return true
		}
	}
	return false
}

func (k *kind) up(ctx context.Context) error {
	if !k.running(ctx) {
		if err := os.MkdirAll(k.layout.Root, 0o755); err != nil {
			return fmt.Errorf("make the cluster's folder: %w", err)
		}
		if err := host.Run(ctx, "kind", "create", "cluster", "--name", kindName, "--kubeconfig", k.layout.Kubeconfig(), "--wait", "180s"); err != nil {
			return err
		}
		k.progress.line("kind has started a node")
		if err := k.addMetrics(ctx); err != nil {
			return err
		}
	}
	k.progress.line("the cluster is ready")
	fmt.Printf("export KUBECONFIG=%s\n", k.layout.Kubeconfig())
	return nil
}

// addMetrics adds what kind does not bring. A kubelet of kind has a certificate
// that nobody signed, so metrics-server must not ask for one.
func (k *kind) addMetrics(ctx context.Context) error {
	if err := k.load(ctx, "metrics-server", "probe"); err != nil {
		return err
	}
	text, err := render("manifests/metrics-server.yaml", newValues(k.layout))
	if err != nil {
		return err
	}
	const authority = "--kubelet-certificate-authority=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
	text = strings.Replace(text, authority, "--kubelet-insecure-tls", 1)
	_, err = host.Output(ctx, text, "kubectl", "--kubeconfig", k.layout.Kubeconfig(), "apply", "--server-side", "-f", "-")
	return err
}

func (k *kind) down(ctx context.Context) error {
	if err := host.Run(ctx, "kind", "delete", "cluster", "--name", kindName, "--kubeconfig", k.layout.Kubeconfig()); err != nil {
		return err
	}
	if err := os.RemoveAll(k.layout.Kubeconfig()); err != nil {
		return fmt.Errorf("remove the kubeconfig: %w", err)
	}
	k.progress.line("the cluster is gone")
	return nil
}

func (k *kind) images(ctx context.Context) error {
	return k.load(ctx, catalog.Platform()...)
}

func (k *kind) load(ctx context.Context, names ...string) error {
	images := &catalog.Catalog{Dir: k.layout.Images(), Version: k.version, Program: toolPath}
	for _, name := range names {
		image, err := images.Build(ctx, name)
		if err != nil {
			return err
		}
		if err := host.Run(ctx, "kind", "load", "image-archive", "--name", kindName, image.Archive); err != nil {
			return err
		}
		k.progress.line("image %s is loaded", image.Ref)
	}
	return nil
}

func (k *kind) check(ctx context.Context) error {
	return runChecks(ctx, k.progress, func(ctx context.Context, input string, args ...string) (string, error) {
		return host.Output(ctx, input, append([]string{"kubectl", "--kubeconfig", k.layout.Kubeconfig()}, args...)...)
	}, newValues(k.layout))
}

func (k *kind) status(ctx context.Context) error {
	out, err := host.Output(ctx, "", "kubectl", "--kubeconfig", filepath.Clean(k.layout.Kubeconfig()), "get", "nodes,pods", "-A")
	fmt.Print(out)
	return err
}
