package catalog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/commercestack/commercestack/hack/image/oci"
)

// unprivileged is the user of images that need no other; numeric, so that
// Kubernetes can verify runAsNonRoot without the passwd file.
const unprivileged = 65532

// programs are static programs and nothing else.
type programs struct {
	// paths finds or builds them.
	paths func(ctx context.Context, c *Catalog) ([]string, error)
	// dir is where they go in the image.
	dir string
}

func (p programs) inputs(ctx context.Context, c *Catalog) ([]string, error) {
	paths, err := p.paths(ctx, c)
	if err != nil {
		return nil, err
	}
	digests := make([]string, 0, len(paths))
	for _, path := range paths {
		digest, err := fileDigest(path)
		if err != nil {
			return nil, err
		}
		digests = append(digests, digest)
	}
	return digests, nil
}

func (p programs) layer(ctx context.Context, c *Catalog, layer *oci.LayerWriter) error {
	paths, err := p.paths(ctx, c)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := layer.CopyFile(p.dir+"/"+filepath.Base(path), path, 0o755); err != nil {
			return err
		}
	}
	return errors.Join(layer.Dir("/tmp", 0o1777, 0),
		layer.File("/etc/passwd", 0o644, 0, fmt.Appendf(nil, "commerce:x:%d:%[1]d::/var/lib/commerce:/sbin/nologin\n", unprivileged)),
		layer.File("/etc/group", 0o644, 0, fmt.Appendf(nil, "commerce:x:%d:\n", unprivileged)))
}

// tool is a program of hack/tools.
func tool(name string) func(context.Context, *Catalog) ([]string, error) {
	return func(ctx context.Context, c *Catalog) ([]string, error) {
		path, err := c.Program(ctx, name)
		return []string{path}, err
	}
}

// built builds packages of this repository, with the flags of `make build`, so that
// the compiler's cache serves both. Their order is that of their paths, so
// that the layer is the same each time.
func built(folder string, packages ...string) func(context.Context, *Catalog) ([]string, error) {
	return func(ctx context.Context, c *Catalog) ([]string, error) {
		out := filepath.Join(c.Dir, "bin", folder)
		if err := os.MkdirAll(out, 0o755); err != nil {
			return nil, fmt.Errorf("make the folder of the programs: %w", err)
		}
		var paths, dirs []string
		for _, pattern := range packages {
			found, err := filepath.Glob(pattern)
			if err != nil || len(found) == 0 {
				return nil, fmt.Errorf("no package is at %s (run from the repository's top folder)", pattern)
			}
			for _, dir := range found {
				dirs = append(dirs, "./"+dir)
				paths = append(paths, filepath.Join(out, filepath.Base(dir)))
			}
		}
		args := append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out + "/"}, dirs...)
		command := exec.CommandContext(ctx, "go", args...)
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := command.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the programs: %w: %s", err, output)
		}
		return paths, nil
	}
}

// zones is where the time zones are. The Dockerfile compiles them into the programs,
// but the tag for that changes the package time and so makes the compiler's cache
// useless for everything above it.
const zones = "/usr/share/zoneinfo.zip"

// shop is the content of the Dockerfile's final stage.
func shop() recipe {
	content := programs{paths: built("commercestack", "cmd/*"), dir: "/usr/local/bin"}
	const roots = "/etc/ssl/certs/ca-certificates.crt"
	return recipe{
		config: oci.Config{
			User:       fmt.Sprintf("%d:%[1]d", unprivileged),
			Env:        []string{"PATH=/usr/local/bin", "ZONEINFO=" + zones},
			Entrypoint: []string{"/usr/local/bin/commerce"},
			Cmd:        []string{"serve"},
		},
		inputs: func(ctx context.Context, c *Catalog) ([]string, error) {
			digests, err := content.inputs(ctx, c)
			if err != nil {
				return nil, err
			}
			digest, err := fileDigest(roots)
			if err != nil {
				return nil, fmt.Errorf("root certificates (apt-get install ca-certificates): %w", err)
			}
			return append(digests, digest), nil
		},
		layer: func(ctx context.Context, c *Catalog, layer *oci.LayerWriter) error {
			if err := content.layer(ctx, c, layer); err != nil {
				return err
			}
			goroot, err := goRoot(ctx)
			if err != nil {
				return err
			}
			return errors.Join(layer.CopyFile(roots, roots, 0o644), layer.CopyFile(zones, goroot+"/lib/time/zoneinfo.zip", 0o644),
				layer.Dir("/var/lib/commerce", 0o755, unprivileged), layer.Dir("/var/lib/commerce/objects", 0o755, unprivileged))
		},
	}
}
