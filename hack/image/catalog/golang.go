package catalog

import (
	"context"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/commercestack/commercestack/hack/image/debian"
	"github.com/commercestack/commercestack/hack/image/oci"
)

// golang is a base for the Dockerfile's build stage where no registry can be
// reached: Debian's shell and certificates, and the Go that builds this program.
func golang() recipe {
	base := distribution{set: debian.Set{Packages: append([]string{"ca-certificates", "openssl", "netbase"}, shell...), Without: setup}}
	return recipe{
		ref: "golang:1.26-bookworm",
		config: oci.Config{
			Env:        []string{"PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "GOPATH=/go", "GOTOOLCHAIN=local"},
			WorkingDir: "/go",
			Cmd:        []string{"bash"},
		},
		inputs: func(ctx context.Context, c *Catalog) ([]string, error) {
			inputs, err := base.inputs(ctx, c)
			return append(inputs, runtime.Version()), err
		},
		layer: func(ctx context.Context, c *Catalog, layer *oci.LayerWriter) error {
			if err := base.layer(ctx, c, layer); err != nil {
				return err
			}
			goroot, err := goRoot(ctx)
			if err != nil {
				return err
			}
			// Packages' scripts would join the certificates; the joined file is this machine's.
			const roots = "/etc/ssl/certs/ca-certificates.crt"
			if err := layer.CopyFile(roots, roots, 0o644); err != nil {
				return err
			}
			return copyTree(layer, goroot, "/usr/local/go")
		},
	}
}

// goRoot is the folder of the Go that builds this program.
func goRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("find Go's own folder: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// copyTree copies a folder of this machine, owned by root.
func copyTree(layer *oci.LayerWriter, from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := to + strings.TrimPrefix(path, from)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			return layer.Dir(name, 0o755, 0)
		case entry.Type().IsRegular():
			return layer.CopyFile(name, path, int64(info.Mode().Perm()))
		default:
			return nil
		}
	})
}
