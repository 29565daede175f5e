// Package oci writes container images without a container engine: a layer is a
// tar file whose entries have fixed owners and times, an image is an archive that
// `ctr images import`, `docker load` and `kind load image-archive` read. The same
// inputs give the same bytes.
package oci

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"strings"
	"time"
)

// Epoch is the time of every file in an image.
var Epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// Layer is a finished layer in a file.
type Layer struct {
	// Path is the uncompressed tar file.
	Path string
	// Digest is its SHA-256 in hexadecimal.
	Digest string
	// Size is its length in bytes.
	Size int64
}

// LayerWriter writes a layer entry by entry.
type LayerWriter struct {
	file *os.File
	tar  *tar.Writer
	hash hash.Hash
	seen map[string]bool
}

// NewLayer starts a layer in a new file.
func NewLayer(file string) (*LayerWriter, error) {
	out, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("make a layer: %w", err)
	}
	digest := sha256.New()
	return &LayerWriter{file: out, tar: tar.NewWriter(io.MultiWriter(out, digest)), hash: digest, seen: map[string]bool{}}, nil
}

// Dir adds a folder and the folders above it; one that is there already stays as
// it was first given.
func (w *LayerWriter) Dir(name string, mode int64, uid int) error {
	name = clean(name)
	if name == "" || w.seen[name] {
		return nil
	}
	if err := w.parents(name); err != nil {
		return err
	}
	return w.header(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: uid, Gid: uid}, name)
}

// File adds a file with the given content.
func (w *LayerWriter) File(name string, mode int64, uid int, content []byte) error {
	return w.Entry(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Uid: uid, Gid: uid, Size: int64(len(content))},
		strings.NewReader(string(content)))
}

// CopyFile adds a file of this machine, owned by root.
func (w *LayerWriter) CopyFile(name, source string, mode int64) error {
	in, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("open a file for an image: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("inspect a file for an image: %w", err)
	}
	return w.Entry(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: info.Size()}, in)
}

// Symlink adds a symbolic link.
func (w *LayerWriter) Symlink(name, target string) error {
	return w.Entry(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, nil)
}

// Entry adds an entry that comes from elsewhere, such as a package; its time and
// the names of its owners are replaced. An entry that is there already stays.
func (w *LayerWriter) Entry(header *tar.Header, content io.Reader) error {
	name := clean(header.Name)
	if header.Typeflag == tar.TypeDir {
		if name == "" || w.seen[name] {
			return nil
		}
		if err := w.parents(name); err != nil {
			return err
		}
		return w.header(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: header.Mode, Uid: header.Uid, Gid: header.Gid}, name)
	}
	if w.seen[name] {
		return nil
	}
	if err := w.parents(name); err != nil {
		return err
	}
	linkname := header.Linkname
	if header.Typeflag == tar.TypeLink {
		linkname = clean(linkname)
	}
	entry := &tar.Header{
		Typeflag: header.Typeflag, Name: name, Linkname: linkname,
		Mode: header.Mode, Uid: header.Uid, Gid: header.Gid, Size: header.Size,
	}
	if err := w.header(entry, name); err != nil {
		return err
	}
	if content == nil || header.Typeflag != tar.TypeReg {
		return nil
	}
	if _, err := io.Copy(w.tar, content); err != nil {
		return fmt.Errorf("write %s into a layer: %w", name, err)
	}
	return nil
}

// Close finishes the layer.
func (w *LayerWriter) Close() (Layer, error) {
	if err := errors.Join(w.tar.Close(), w.file.Close()); err != nil {
		return Layer{}, fmt.Errorf("finish a layer: %w", err)
	}
	info, err := os.Stat(w.file.Name())
	if err != nil {
		return Layer{}, fmt.Errorf("inspect a layer: %w", err)
	}
	return Layer{Path: w.file.Name(), Digest: hex.EncodeToString(w.hash.Sum(nil)), Size: info.Size()}, nil
}

func (w *LayerWriter) parents(name string) error {
	parent := path.Dir(name)
	if parent == "." || parent == "/" {
		return nil
	}
	return w.Dir(parent, 0o755, 0)
}

func (w *LayerWriter) header(header *tar.Header, name string) error {
	header.ModTime = Epoch
	header.Format = tar.FormatPAX
	w.seen[name] = true
	if err := w.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("write %s into a layer: %w", name, err)
	}
	return nil
}

// clean turns ./usr/bin/ and /usr/bin into usr/bin.
func clean(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}
