// Package debian turns Debian packages into a layer without installing them: apt
// resolves and downloads against an empty machine, and the packages' files are
// copied as they are. No maintainer script runs, so images get what packages
// ship and nothing that depends on this machine.
package debian

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/commercestack/commercestack/hack/image/oci"
)

// Set is what an image takes from Debian.
type Set struct {
	// Packages are wanted; apt adds what they depend on.
	Packages []string
	// Without are dependencies that the image does not need.
	Without []string
	// Omit are path prefixes that are left out, besides documents and translations.
	Omit []string
}

// documents are of no use in a container.
var documents = []string{
	"usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/", "usr/share/bug/",
	"usr/share/postgresql/15/man/", "usr/lib/udev/", "usr/lib/systemd/", "usr/share/bash-completion/",
}

// Download fetches the packages of a set into a folder and returns the files.
// Packages that are in the folder already are not fetched again.
func Download(ctx context.Context, set Set, dir string) ([]string, error) {
	// apt's plan leaves out what its archive has; it is given an empty one.
	if err := os.MkdirAll(filepath.Join(dir, "plan", "partial"), 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the packages: %w", err)
	}
	status := filepath.Join(dir, "status")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return nil, fmt.Errorf("make an empty machine for apt: %w", err)
	}
	uris, err := resolve(ctx, set, dir, status)
	if err != nil {
		// Package lists may be absent or stale on a new machine.
		if updateErr := apt(ctx, io.Discard, "update"); updateErr != nil {
			return nil, errors.Join(err, updateErr)
		}
		if uris, err = resolve(ctx, set, dir, status); err != nil {
			return nil, err
		}
	}
	var files []string
	for _, uri := range uris {
		if !slices.Contains(set.Without, uri.name) {
			files = append(files, filepath.Join(dir, uri.file))
		}
	}
	missing := slices.DeleteFunc(slices.Clone(files), func(file string) bool {
		_, err := os.Stat(file)
		return err == nil
	})
	if len(missing) > 0 {
		if err := fetch(ctx, dir, status, missing); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// uri is one line of apt's plan.
type uri struct{ name, file string }

func resolve(ctx context.Context, set Set, dir, status string) ([]uri, error) {
	var out strings.Builder
	args := append(options(dir, status), "--print-uris", "-qq", "install")
	if err := apt(ctx, &out, append(args, set.Packages...)...); err != nil {
		return nil, err
	}
	return parseURIs(out.String()), nil
}

// parseURIs reads lines of the form: 'address' file size checksum.
func parseURIs(plan string) []uri {
	var uris []uri
	for line := range strings.Lines(plan) {
		fields := strings.Fields(line)
		if len(fields) < 3 || !strings.HasPrefix(fields[0], "'") {
			continue
		}
		name, _, _ := strings.Cut(fields[1], "_")
		uris = append(uris, uri{name: name, file: fields[1]})
	}
	slices.SortFunc(uris, func(a, b uri) int { return strings.Compare(a.file, b.file) })
	return uris
}

// fetch downloads exactly these files; apt's install would add what is left out.
func fetch(ctx context.Context, dir, status string, files []string) error {
	args := append(options(dir, status), "-qq", "download")
	for _, file := range files {
		args = append(args, selector(filepath.Base(file)))
	}
	command := exec.CommandContext(ctx, "apt-get", args...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("download Debian packages: %w: %s", err, out)
	}
	return nil
}

// selector turns a file name into what apt calls that version: name=version.
func selector(file string) string {
	parts := strings.SplitN(strings.TrimSuffix(file, ".deb"), "_", 3)
	if len(parts) < 2 {
		return file
	}
	return parts[0] + "=" + strings.ReplaceAll(parts[1], "%3a", ":")
}

func options(dir, status string) []string {
	return []string{
		"-y", "-o", "Dir::State::Status=" + status, "-o", "Dir::Cache::Archives=" + filepath.Join(dir, "plan"), "-o", "Debug::NoLocking=1",
		"-o", "APT::Install-Recommends=false", "-o", "APT::Sandbox::User=root",
	}
}

func apt(ctx context.Context, out io.Writer, args ...string) error {
	command := exec.CommandContext(ctx, "apt-get", args...)
	var stderr strings.Builder
	command.Stdout, command.Stderr = out, &stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("apt-get %s (images are built on Debian only): %w: %s", args[len(args)-1], err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// Unpack copies the files of the packages into a layer.
func Unpack(ctx context.Context, layer *oci.LayerWriter, set Set, files []string) error {
	// Debian merged /bin, /sbin and /lib into /usr; a package may still ship either.
	for _, link := range merged {
		if err := layer.Dir("usr/"+link, 0o755, 0); err != nil {
			return err
		}
		if err := layer.Symlink(link, "usr/"+link); err != nil {
			return err
		}
	}
	for _, file := range files {
		if err := unpack(ctx, layer, set, file); err != nil {
			return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
		}
	}
	return nil
}

func unpack(ctx context.Context, layer *oci.LayerWriter, set Set, file string) error {
	command := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	copyErr := copyEntries(layer, set, tar.NewReader(out))
	// Read to the end, or dpkg-deb would wait for its reader for ever.
	_, _ = io.Copy(io.Discard, out)
	return errors.Join(copyErr, command.Wait())
}

func copyEntries(layer *oci.LayerWriter, set Set, reader *tar.Reader) error {
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		header.Name = merge(header.Name)
		if header.Typeflag == tar.TypeLink {
			header.Linkname = merge(header.Linkname)
		}
		if omitted(header.Name, set.Omit) {
			continue
		}
		if err := layer.Entry(header, reader); err != nil {
			return err
		}
	}
}

var merged = []string{"bin", "sbin", "lib", "lib64"}

// merge moves bin/sh to usr/bin/sh, and so for the other merged folders.
func merge(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	for _, dir := range merged {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return "usr/" + name
		}
	}
	return name
}

func omitted(name string, omit []string) bool {
	for _, prefix := range slices.Concat(documents, omit) {
		if strings.HasPrefix(name+"/", prefix) || strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
