package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Nobody misses the data of a throw-away server after a power cut; in exchange commits cost nothing.
func throwawaySettings() map[string]string {
	return map[string]string{
		"fsync":              "off",
		"synchronous_commit": "off",
		"full_page_writes":   "off",
		"autovacuum":         "off",
		"max_wal_size":       "2GB",
		"min_wal_size":       "8MB",
		"wal_level":          "minimal",
		"max_wal_senders":    "0",
		"wal_init_zero":      "off",
		"wal_recycle":        "off",
	}
}

// Throwaway is a server for tests and tools. Its data is lost when it stops.
type Throwaway struct {
	*Server

	dir string
}

// StartThrowaway starts a server on a copy of a cluster that is initialised once on this machine and kept in the
// temporary folder, or in memory where there is enough. A process that is killed leaves files there, which a later call removes.
func StartThrowaway(ctx context.Context) (*Throwaway, error) {
	return startThrowaway(ctx, filepath.Join(throwawayPlace(), fmt.Sprintf("commerce-pgserver-%d", os.Getuid())))
}

func startThrowaway(ctx context.Context, root string) (*Throwaway, error) {
	if err := privateFolder(root); err != nil {
		return nil, fmt.Errorf("pgserver: %w", err)
	}
	template := filepath.Join(root, "template")
	if err := makeTemplate(ctx, root, template); err != nil {
		return nil, fmt.Errorf("pgserver: make the template: %w", err)
	}
	sweep(root)
	dir, err := os.MkdirTemp(root, "run-")
	if err != nil {
		return nil, fmt.Errorf("pgserver: %w", err)
	}
	if err := copyFolder(template, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("pgserver: copy the template: %w", err), os.RemoveAll(dir))
	}
	server, err := Start(ctx, throwawayConfig(dir))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Throwaway{Server: server, dir: dir}, nil
}

// throwawayPlace is memory when it has room: a new database is hundreds of small files, ten times as slow on a disk.
func throwawayPlace() string {
	const memory, room = "/dev/shm", 2 << 30
	var stat syscall.Statfs_t
	if err := syscall.Statfs(memory, &stat); err == nil && stat.Bavail*uint64(stat.Bsize) > room {
		return memory
	}
	return os.TempDir()
}

// Stop ends the server at once and removes its data.
func (t *Throwaway) Stop(ctx context.Context) error {
	return errors.Join(t.Server.Stop(ctx), os.RemoveAll(t.dir))
}

func throwawayConfig(dir string) Config {
	return Config{DataDir: dir, Settings: throwawaySettings(), Logger: slog.New(slog.DiscardHandler)}
}

// privateFolder refuses a folder that somebody else made under the name we use.
func privateFolder(path string) error {
	if err := os.MkdirAll(path, 0o711); err != nil { //nolint:gosec // the server's user walks through
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("%s belongs to another user", path)
	}
	return nil
}

// makeTemplate initialises a cluster once for this machine. Processes that start together wait for the first.
func makeTemplate(ctx context.Context, root, template string) error {
	lock, err := os.OpenFile(filepath.Join(root, "template.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	if _, err := os.Stat(template); err == nil {
		return nil
	}
	fresh := template + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	server, err := Start(ctx, throwawayConfig(fresh))
	if err != nil {
		return err
	}
	// A clean stop, so that copies start without recovery.
	if err := server.Stop(ctx); err != nil {
		return err
	}
	return os.Rename(fresh, template)
}

// sweep removes what killed processes left. A folder's lock is held as long as its process lives.
func sweep(root string) {
	folders, err := filepath.Glob(filepath.Join(root, "run-*"))
	if err != nil {
		return
	}
	for _, dir := range folders {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue // it may be about to start
		}
		lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			_ = os.RemoveAll(dir)
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close()
	}
}

// copyFolder copies regular files and folders with their permissions. The server's start gives them to its user.
func copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case path == from:
			return os.Chmod(target, info.Mode().Perm())
		case entry.IsDir():
			return os.Mkdir(target, info.Mode().Perm())
		case entry.Name() == "lock" || entry.Name() == "port":
			return nil // each server's own
		default:
			return copyFile(path, target, info.Mode().Perm())
		}
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
