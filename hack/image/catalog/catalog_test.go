package catalog

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/commercestack/commercestack/hack/image/oci"
)

// newCatalog has one recipe's input in a file, so that a test can change it.
func newCatalog(t *testing.T) (*Catalog, string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "coredns")
	if err := os.WriteFile(program, []byte("one"), 0o755); err != nil {
		t.Fatal(err)
	}
	return &Catalog{Dir: t.TempDir(), Version: "1", Program: func(context.Context, string) (string, error) { return program, nil }}, program
}

func TestBuildOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	images, program := newCatalog(t)
	build := func() Image {
		t.Helper()
		image, err := images.Build(t.Context(), "coredns")
		if err != nil {
			t.Fatal(err)
		}
		return image
	}
	first := build()
	if !first.Built || first.Ref != CoreDNS {
		t.Fatalf("first = %+v", first)
	}
	if again := build(); again.Built || again.Key != first.Key {
		t.Errorf("built again without a change: %+v", again)
	}
	if err := os.WriteFile(program, []byte("two"), 0o755); err != nil {
		t.Fatal(err)
	}
	if changed := build(); !changed.Built || changed.Key == first.Key {
		t.Errorf("a change is not built: %+v", changed)
	}
	if err := os.Remove(first.Archive); err != nil {
		t.Fatal(err)
	}
	if lost := build(); !lost.Built {
		t.Error("a lost archive is not built again")
	}
}

func TestBuildNamesWhatItKnows(t *testing.T) {
	t.Parallel()
	images, _ := newCatalog(t)
	if _, err := images.Build(t.Context(), "nginx"); err == nil || !strings.Contains(err.Error(), "postgres") {
		t.Errorf("err = %v", err)
	}
	images.Program = func(context.Context, string) (string, error) { return "/nonexistent/coredns", nil }
	if _, err := images.Build(t.Context(), "coredns"); err == nil || !strings.Contains(err.Error(), "image coredns") {
		t.Errorf("err = %v", err)
	}
}

func TestRecipesAreComplete(t *testing.T) {
	t.Parallel()
	images, _ := newCatalog(t)
	for _, name := range Names() {
		made, known := images.recipes()[name]
		if !known || made.ref == "" || made.inputs == nil || made.layer == nil {
			t.Errorf("%s: %+v", name, made)
		}
	}
	for name, server := range map[string]recipe{"postgres": postgres(), "redis": redis()} {
		if server.config.User != "999:999" {
			t.Errorf("%s runs as %q", name, server.config.User)
		}
		if inputs, err := server.inputs(t.Context(), images); err != nil || !strings.Contains(strings.Join(inputs, "\n"), "#!/usr/bin/env bash") {
			t.Errorf("%s: its entrypoint is no input: %v, %v", name, inputs, err)
		}
	}
}

func TestCopyTree(t *testing.T) {
	t.Parallel()
	from := t.TempDir()
	if err := os.MkdirAll(filepath.Join(from, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "bin", "go"), []byte("go"), 0o755); err != nil {
		t.Fatal(err)
	}
	layer, err := oci.NewLayer(filepath.Join(t.TempDir(), "layer"))
	if err != nil {
		t.Fatal(err)
	}
	if err := copyTree(layer, from, "/usr/local/go"); err != nil {
		t.Fatal(err)
	}
	made, err := layer.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tar", "-tf", made.Path).Output()
	if err != nil || !strings.Contains(string(out), "usr/local/go/bin/go\n") {
		t.Errorf("layer = %s, err = %v", out, err)
	}
}
