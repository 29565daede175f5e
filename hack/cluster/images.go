package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/commercestack/commercestack/hack/cluster/host"
	"github.com/commercestack/commercestack/hack/image/catalog"
)

// The cluster's own images, as its configuration and manifests name them.
const (
	pauseImage         = catalog.Pause
	coreDNSImage       = catalog.CoreDNS
	metricsServerImage = catalog.MetricsServer
	probeImage         = catalog.Probe
)

// images builds the platform's images and loads those that changed.
func (c *cluster) images(ctx context.Context) error {
	if err := needRoot(); err != nil {
		return err
	}
	if !c.supervisor.Alive("containerd") {
		return errors.New("no cluster is running: make cluster-up starts one")
	}
	if err := c.load(ctx, catalog.Platform()); err != nil {
		return err
	}
	if worker := c.worker(); worker.supervisor.Alive("containerd") {
		return worker.load(ctx, catalog.Platform())
	}
	return nil
}

func (c *cluster) load(ctx context.Context, names []string) error {
	images := &catalog.Catalog{Dir: c.layout.Images(), Version: c.version, Program: toolPath}
	for _, name := range names {
		image, err := images.Build(ctx, name)
		if err != nil {
			return err
		}
		loaded, err := c.loadImage(ctx, image)
		if err != nil {
			return err
		}
		switch {
		case image.Built:
			c.progress.line("image %s is built and loaded", image.Ref)
		case loaded:
			c.progress.line("image %s is loaded", image.Ref)
		default:
			c.progress.line("image %s is unchanged", image.Ref)
		}
	}
	return nil
}

// loadImage imports an archive unless this run of the cluster has it.
func (c *cluster) loadImage(ctx context.Context, image catalog.Image) (bool, error) {
	mark := c.layout.State("images", image.Name)
	if present, err := os.ReadFile(mark); err == nil && string(present) == image.Key {
		return false, nil
	}
	if err := host.Run(ctx, c.ctr("images", "import", image.Archive)...); err != nil {
		return false, fmt.Errorf("load %s: %w", image.Ref, err)
	}
	if err := os.MkdirAll(filepath.Dir(mark), 0o755); err != nil {
		return false, fmt.Errorf("remember that %s is loaded: %w", image.Ref, err)
	}
	if err := os.WriteFile(mark, []byte(image.Key), 0o644); err != nil {
		return false, fmt.Errorf("remember that %s is loaded: %w", image.Ref, err)
	}
	return true, nil
}
