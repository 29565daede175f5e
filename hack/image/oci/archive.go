package oci

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// Config is how a container of the image runs by default.
type Config struct {
	User         string              `json:"User,omitempty"`
	Env          []string            `json:"Env,omitempty"`
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	StopSignal   string              `json:"StopSignal,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
}

// imageConfig is the image's configuration file, as the OCI specifies it.
type imageConfig struct {
	Created      time.Time `json:"created"`
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Config       Config    `json:"config"`
	RootFS       rootFS    `json:"rootfs"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

// manifest is an entry of manifest.json, which names the parts of an archive.
type manifest struct {
	Config   string   `json:"Config"`
	RepoTags []string `json:"RepoTags"`
	Layers   []string `json:"Layers"`
}

// WriteArchive writes an image of the layers under a name such as redis:7. Who
// imports it completes the name exactly as a pod's image field is completed.
func WriteArchive(file, name string, config Config, layers []Layer) (err error) {
	image := imageConfig{Created: Epoch, Architecture: runtime.GOARCH, OS: "linux", Config: config, RootFS: rootFS{Type: "layers"}}
	entry := manifest{RepoTags: []string{name}}
	for _, layer := range layers {
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, "sha256:"+layer.Digest)
		entry.Layers = append(entry.Layers, layer.Digest+".tar")
	}
	configJSON, err := json.Marshal(image)
	if err != nil {
		return fmt.Errorf("encode the configuration of %s: %w", name, err)
	}
	sum := sha256.Sum256(configJSON)
	entry.Config = hex.EncodeToString(sum[:]) + ".json"
	manifestJSON, err := json.Marshal([]manifest{entry})
	if err != nil {
		return fmt.Errorf("encode the manifest of %s: %w", name, err)
	}
	// A reader never sees half an archive.
	out, err := os.Create(file + ".new")
	if err != nil {
		return fmt.Errorf("make the archive of %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(out.Name())) }()
	writer := tar.NewWriter(out)
	for _, layer := range layers {
		if err := addFile(writer, layer.Digest+".tar", layer); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		name string
		data []byte
	}{{entry.Config, configJSON}, {"manifest.json", manifestJSON}} {
		if err := writer.WriteHeader(&tar.Header{Name: part.name, Mode: 0o644, Size: int64(len(part.data)), ModTime: Epoch}); err != nil {
			return fmt.Errorf("write the archive of %s: %w", name, err)
		}
		if _, err := writer.Write(part.data); err != nil {
			return fmt.Errorf("write the archive of %s: %w", name, err)
		}
	}
	if err := errors.Join(writer.Close(), out.Close()); err != nil {
		return fmt.Errorf("finish the archive of %s: %w", name, err)
	}
	return os.Rename(out.Name(), file)
}

func addFile(writer *tar.Writer, name string, layer Layer) error {
	in, err := os.Open(layer.Path)
	if err != nil {
		return fmt.Errorf("open a layer: %w", err)
	}
	defer in.Close()
	if err := writer.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: layer.Size, ModTime: Epoch}); err != nil {
		return fmt.Errorf("write a layer: %w", err)
	}
	if _, err := io.Copy(writer, in); err != nil {
		return fmt.Errorf("write a layer: %w", err)
	}
	return nil
}
