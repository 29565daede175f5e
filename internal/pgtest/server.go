package pgtest

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
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/commercestack/commercestack/internal/pgserver"
)

const startTimeout = 2 * time.Minute

// Tests may lose their data in a power cut; in exchange commits cost nothing.
var settings = map[string]string{
	"fsync":              "off",
	"synchronous_commit": "off",
	"full_page_writes":   "off",
	"autovacuum":         "off",
	"max_wal_size":       "2GB",
	"min_wal_size":       "8MB",
	"wal_level":          "minimal",
	"max_wal_senders":    "0",
}

type instance struct {
	server *pgserver.Server
	dir    string
}

var (
	running   *instance
	errStart  error
	startOnce sync.Once
)

// Main runs the tests of a package, stops its server, and fails the package when goroutines are left.
func Main(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(options...); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func stop() error {
	if running == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(running.server.Stop(ctx), os.RemoveAll(running.dir))
}

func server(t testing.TB) *pgserver.Server {
	t.Helper()
	startOnce.Do(func() { running, errStart = start() })
	if errStart != nil {
		t.Fatalf("start PostgreSQL: %v", errStart)
	}
	return running.server
}

func start() (*instance, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	root := filepath.Join(os.TempDir(), fmt.Sprintf("commerce-pgtest-%d", os.Getuid()))
	if err := privateFolder(root); err != nil {
		return nil, err
	}
	template := filepath.Join(root, "template-1")
	if err := makeTemplate(ctx, root, template); err != nil {
		return nil, fmt.Errorf("make the template: %w", err)
	}
	sweep(root)
	dir, err := os.MkdirTemp(root, "run-")
	if err != nil {
		return nil, err
	}
	if err := copyFolder(template, dir); err != nil {
		return nil, fmt.Errorf("copy the template: %w", err)
	}
	server, err := pgserver.Start(ctx, config(dir))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &instance{server: server, dir: dir}, nil
}

func config(dir string) pgserver.Config {
	return pgserver.Config{DataDir: dir, Settings: settings, Logger: slog.New(slog.DiscardHandler)}
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

// makeTemplate initialises a cluster once for this machine. Test binaries that start together wait for the first.
func makeTemplate(ctx context.Context, root, template string) error {
	lock, err := os.OpenFile(filepath.Join(root, "template.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // nothing was written
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
	server, err := pgserver.Start(ctx, config(fresh))
	if err != nil {
		return err
	}
	// A clean stop, so that copies start without recovery.
	if err := server.Stop(ctx); err != nil {
		return err
	}
	return os.Rename(fresh, template)
}

// sweep removes what killed test binaries left. A folder's lock is held as long as its test binary lives.
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
	defer in.Close() //nolint:errcheck // only read
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
