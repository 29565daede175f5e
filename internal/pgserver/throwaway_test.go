package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"
)

// The first users of a machine share the one cluster that is made for them.
func TestThrowawaysOfANewMachine(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "servers")
	var group errgroup.Group
	for i := range 3 {
		group.Go(func() error {
			server, err := startThrowaway(t.Context(), root)
			if err != nil {
				return err
			}
			query(t, server.URL("postgres"), fmt.Sprintf("CREATE TABLE mine AS SELECT %d AS n", i))
			return server.Stop(t.Context())
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(root, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("left are %v (%v), want the template and its lock", left, err)
	}
}

func TestThrowawayFails(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := startThrowaway(t.Context(), file); err == nil {
		t.Error("started in a file")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	root := filepath.Join(t.TempDir(), "servers")
	if _, err := startThrowaway(ctx, root); err == nil {
		t.Error("started with an ended context")
	}
	if left, _ := filepath.Glob(filepath.Join(root, "template")); len(left) > 0 {
		t.Error("a template that was not finished is offered")
	}
}

// openTempDir is a temporary folder that every user can walk into.
func openTempDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, parent := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fakeBinaries puts an initdb and a postgres on the PATH that do what the scripts say.
func fakeBinaries(t *testing.T, initdb, postgres string) {
	t.Helper()
	dir := openTempDir(t)
	for name, script := range map[string]string{"initdb": initdb, "postgres": postgres} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestBinariesOfThePathComeFirst(t *testing.T) {
	config := Config{DataDir: filepath.Join(t.TempDir(), "data"), Logger: slog.New(slog.DiscardHandler)}
	fakeBinaries(t, "echo disk full >&2; exit 1", "exit 1")
	if _, err := Start(t.Context(), config); err == nil || !strings.Contains(err.Error(), "initdb: exit status 1: disk full") {
		t.Errorf("a failing initdb gives %v", err)
	}
	if _, err := os.Stat(filepath.Join(config.DataDir, "cluster")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a cluster that was not finished is kept: %v", err)
	}
	// The environment may hold secrets and must not reach the server; the password comes by a file without a name.
	t.Setenv("PGOPTIONS", "-c fsync=off")
	fakeBinaries(t, `[ -z "$PGOPTIONS" ] && [ -n "$(cat /proc/self/fd/4)" ] && exit 0; exit 3`, "echo out of memory >&2; exit 2")
	_, err := Start(t.Context(), config)
	if err == nil || !strings.Contains(err.Error(), "ended while it started (exit status 2)") || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("a failing server gives %v", err)
	}
	fakeBinaries(t, "exit 0", "exit 0")
	path, err := findBinaries("")
	if err != nil || !strings.HasPrefix(os.Getenv("PATH"), path) {
		t.Errorf("binaries in %s (%v)", path, err)
	}
	if err := os.WriteFile(filepath.Join(path, "postgres"), []byte("\x7fELF"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), config); err == nil || !strings.Contains(err.Error(), "start ") {
		t.Errorf("a broken program gives %v", err)
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not root: the server runs as this user")
	}
	var none *account
	if none.credential() != nil || !none.canReach("/root/x") || none.own("/does/not/exist") != nil {
		t.Error("without an account something is changed")
	}
	found, err := serverAccount()
	if err != nil || (found == nil) != (os.Geteuid() != 0) {
		t.Fatalf("account %v (%v)", found, err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(me.Uid, 10, 32)
	gid, _ := strconv.ParseUint(me.Gid, 10, 32)
	self, other := &account{uid: uint32(uid), gid: uint32(gid)}, &account{uid: 65533, gid: 65533}
	group := &account{uid: 65533, gid: uint32(gid)}
	dir := filepath.Join(openTempDir(t), "a")
	if err := os.MkdirAll(filepath.Join(dir, "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) }) // or it cannot be removed
	for _, step := range []struct {
		mode               fs.FileMode
		self, group, other bool
	}{{0o700, true, false, false}, {0o710, true, true, false}, {0o701, true, false, true}, {0o600, false, false, false}} {
		if err := os.Chmod(dir, step.mode); err != nil {
			t.Fatal(err)
		}
		if self.canReach(filepath.Join(dir, "b")) != step.self || group.canReach(filepath.Join(dir, "b")) != step.group ||
			other.canReach(filepath.Join(dir, "b")) != step.other {
			t.Errorf("mode %v is judged wrongly", step.mode)
		}
	}
	if other.canReach(filepath.Join(dir, "none", "c")) {
		t.Error("a folder that does not exist is within reach")
	}
	if err := self.own(filepath.Join(dir, "none")); err == nil {
		t.Error("owning nothing succeeds")
	}
}

// A cluster made under another user, such as nobody before the package made postgres, is handed over.
func TestOwnHandsOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a", "file")
	if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	other := &account{uid: 65533, gid: 65533}
	err := other.own(dir)
	if os.Geteuid() != 0 {
		if err == nil {
			t.Error("only root can give files away")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != other.uid || stat.Gid != other.gid {
		t.Errorf("the file belongs to %+v", info.Sys())
	}
}
