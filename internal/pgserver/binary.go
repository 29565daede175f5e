package pgserver

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrNotInstalled says that this machine has no PostgreSQL server binaries.
var ErrNotInstalled = errors.New("no PostgreSQL server found: install it (Debian and Ubuntu: apt-get install postgresql; " +
	"Fedora: dnf install postgresql-server postgresql-contrib; macOS: brew install postgresql) or put initdb and postgres on the PATH")

// Where distributions keep the server's binaries, which are usually not on the PATH.
var installations = []string{
	"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/opt/postgresql*/bin", "/opt/homebrew/opt/postgresql*/bin",
}

// findBinaries answers the folder with initdb and postgres: of the given major version for a cluster that exists, else
// the one on the PATH, else the newest installed.
func findBinaries(major string) (string, error) {
	if major != "" {
		dir, err := newest(installations, major)
		if err == nil {
			return dir, nil
		}
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		// The PATH may hold a link into the real folder.
		if path, err = filepath.EvalSymlinks(path); err == nil && complete(filepath.Dir(path)) {
			return filepath.Dir(path), nil
		}
	}
	return newest(installations, "")
}

func newest(patterns []string, major string) (string, error) {
	best, bestVersion := "", -1.0
	for _, pattern := range patterns {
		folders, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		for _, dir := range folders {
			version := versionOf(dir)
			if complete(dir) && version > bestVersion && (major == "" || strconv.FormatFloat(version, 'f', -1, 64) == major) {
				best, bestVersion = dir, version
			}
		}
	}
	if best == "" {
		return "", ErrNotInstalled
	}
	return best, nil
}

func complete(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

func versionOf(bin string) float64 {
	name := filepath.Base(filepath.Dir(bin))
	number := strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz-@")
	version, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0
	}
	return version
}
