// Package catalog says which images the local cluster needs and builds those whose
// inputs changed. An archive is kept with the key of its inputs beside it, so that
// a second run costs the seconds it takes to compare them.
package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/commercestack/commercestack/hack/image/oci"
)

// Catalog builds into one folder.
type Catalog struct {
	// Dir keeps archives, keys and downloaded packages.
	Dir string
	// Version is the tag of the commercestack image.
	Version string
	// Program finds or builds a program of hack/tools: coredns, metrics-server.
	Program func(ctx context.Context, name string) (string, error)
}

// Image is a built image.
type Image struct {
	// Name is its short name in the catalog.
	Name string
	// Ref is its name in pods.
	Ref string
	// Archive is the file to load.
	Archive string
	// Key identifies its content.
	Key string
	// Built tells whether it was built now rather than found.
	Built bool
}

// recipe is how one image is made. Its inputs make the key; it is only built when
// the key differs.
type recipe struct {
	ref    string
	inputs func(ctx context.Context, c *Catalog) ([]string, error)
	config oci.Config
	layer  func(ctx context.Context, c *Catalog, layer *oci.LayerWriter) error
}

// format is part of every key: raised when the same inputs make another image.
const format = "1"

// System are the images that the cluster itself runs on.
func System() []string { return []string{"pause", "probe", "coredns", "metrics-server"} }

// Platform are the images of CommerceStack and of what it runs beside.
func Platform() []string { return []string{"commercestack", "postgres", "redis"} }

// Names lists every image.
func Names() []string {
	names := slices.Concat(System(), Platform(), []string{"golang"})
	slices.Sort(names)
	return names
}

// Build builds an image unless its archive is up to date.
func (c *Catalog) Build(ctx context.Context, name string) (Image, error) {
	made, known := c.recipes()[name]
	if !known {
		return Image{}, fmt.Errorf("unknown image %q; known: %s", name, strings.Join(Names(), " "))
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return Image{}, fmt.Errorf("make the folder of the images: %w", err)
	}
	inputs, err := made.inputs(ctx, c)
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", name, err)
	}
	image := Image{Name: name, Ref: made.ref, Archive: filepath.Join(c.Dir, name+".tar"), Key: key(made, inputs)}
	keyFile := filepath.Join(c.Dir, name+".key")
	if present, err := os.ReadFile(keyFile); err == nil && string(present) == image.Key {
		if _, err := os.Stat(image.Archive); err == nil {
			return image, nil
		}
	}
	image.Built = true
	// The key goes first: after a crash there is an archive without one, which is
	// built again, and never one with another's key.
	if err := os.Remove(keyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Image{}, fmt.Errorf("forget the old image %s: %w", name, err)
	}
	if err := c.write(ctx, made, image.Archive); err != nil {
		return Image{}, fmt.Errorf("build the image %s: %w", name, err)
	}
	if err := os.WriteFile(keyFile, []byte(image.Key), 0o644); err != nil {
		return Image{}, fmt.Errorf("remember the image %s: %w", name, err)
	}
	return image, nil
}

func (c *Catalog) write(ctx context.Context, made recipe, archive string) (err error) {
	layerFile := archive + ".layer"
	defer func() { err = errors.Join(err, os.RemoveAll(layerFile)) }()
	writer, err := oci.NewLayer(layerFile)
	if err != nil {
		return err
	}
	if err := made.layer(ctx, c, writer); err != nil {
		return err
	}
	layer, err := writer.Close()
	if err != nil {
		return err
	}
	return oci.WriteArchive(archive, made.ref, made.config, []oci.Layer{layer})
}

func key(made recipe, inputs []string) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%+v\n", format, made.ref, made.config)
	for _, input := range inputs {
		fmt.Fprintln(sum, input)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// fileDigest makes a file an input.
func fileDigest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read an input: %w", err)
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("read an input: %w", err)
	}
	return filepath.Base(path) + " " + hex.EncodeToString(sum.Sum(nil)), nil
}
