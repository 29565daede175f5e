package oci_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/commercestack/commercestack/hack/image/oci"
)

func writeImage(t *testing.T, dir string) string {
	t.Helper()
	writer, err := oci.NewLayer(filepath.Join(dir, "layer"))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		writer.Dir("/var/lib/shop", 0o700, 65532),
		writer.CopyFile("/usr/local/bin/program", program, 0o755),
		writer.Symlink("/bin", "usr/bin"),
		writer.File("./etc/passwd", 0o644, 0, []byte("shop:x:65532:")),
		writer.File("/etc/passwd", 0o644, 0, []byte("a second one is not taken")),
		writer.Entry(&tar.Header{Typeflag: tar.TypeDir, Name: "./usr/", Mode: 0o777, Uname: "somebody"}, nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	layer, err := writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dir, "image.tar")
	config := oci.Config{User: "65532", Entrypoint: []string{"/usr/local/bin/program"}}
	if err := oci.WriteArchive(archive, "shop/shop:1", config, []oci.Layer{layer}); err != nil {
		t.Fatal(err)
	}
	return archive
}

func readTar(t *testing.T, data []byte) (map[string]*tar.Header, map[string][]byte) {
	t.Helper()
	headers, contents := map[string]*tar.Header{}, map[string][]byte{}
	reader := tar.NewReader(bytes.NewReader(data))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		if headers[header.Name] != nil {
			t.Errorf("%s is there twice", header.Name)
		}
		headers[header.Name] = header
		contents[header.Name], _ = io.ReadAll(reader)
	}
}

func TestArchive(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(writeImage(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	_, parts := readTar(t, data)
	var manifests []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(parts["manifest.json"], &manifests); err != nil {
		t.Fatal(err)
	}
	if len(manifests) != 1 || !slices.Equal(manifests[0].RepoTags, []string{"shop/shop:1"}) {
		t.Fatalf("manifest = %s", parts["manifest.json"])
	}
	var config struct {
		Architecture string
		Config       struct{ User string }
		RootFS       struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(parts[manifests[0].Config], &config); err != nil {
		t.Fatal(err)
	}
	layer := parts[manifests[0].Layers[0]]
	sum := sha256.Sum256(layer)
	if want := "sha256:" + hex.EncodeToString(sum[:]); config.RootFS.DiffIDs[0] != want || config.Config.User != "65532" {
		t.Errorf("config = %+v, want the layer %s", config, want)
	}
	headers, contents := readTar(t, layer)
	if string(contents["etc/passwd"]) != "shop:x:65532:" {
		t.Errorf("passwd = %q", contents["etc/passwd"])
	}
	if header := headers["var/lib/shop/"]; header == nil || header.Uid != 65532 || header.Mode != 0o700 {
		t.Errorf("var/lib/shop = %+v", header)
	}
	// The folder came into being with the program; a later entry leaves it alone.
	if header := headers["usr/"]; header == nil || header.Mode != 0o755 || header.Uname != "" || !header.ModTime.Equal(oci.Epoch) {
		t.Errorf("usr = %+v", header)
	}
	if header := headers["bin"]; header == nil || header.Linkname != "usr/bin" {
		t.Errorf("bin = %+v", header)
	}
}

func TestSameInputsGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	first, err := os.ReadFile(writeImage(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(writeImage(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("two builds differ")
	}
}

func TestMissingFileIsNamed(t *testing.T) {
	t.Parallel()
	writer, err := oci.NewLayer(filepath.Join(t.TempDir(), "layer"))
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.CopyFile("/program", "/nonexistent/program", 0o755); err == nil || !strings.Contains(err.Error(), "/nonexistent/program") {
		t.Errorf("err = %v", err)
	}
}
