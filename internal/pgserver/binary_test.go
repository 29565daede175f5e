package pgserver

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNewest(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for folder, files := range map[string][]string{
		"9.6/bin": {"initdb", "postgres"},
		"15/bin":  {"initdb", "postgres"},
		"16/bin":  {"initdb", "postgres"},
		"17/bin":  {"postgres"}, // incomplete
	} {
		for _, file := range files {
			path := filepath.Join(root, folder, file)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o700)); err != nil {
				t.Fatal(err)
			}
		}
	}
	patterns := []string{filepath.Join(root, "*", "bin")}
	for major, want := range map[string]string{"": "16/bin", "15": "15/bin", "9.6": "9.6/bin"} {
		if got, err := newest(patterns, major); err != nil || got != filepath.Join(root, want) {
			t.Errorf("version %q: %s, %v; want %s", major, got, err, want)
		}
	}
	if _, err := newest(patterns, "14"); !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), "apt-get install") {
		t.Errorf("missing version: %v", err)
	}
	if _, err := newest([]string{"["}, ""); err == nil {
		t.Error("a malformed pattern is no error")
	}
}

func TestVersionOf(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]float64{
		"/usr/lib/postgresql/15/bin": 15, "/usr/pgsql-16/bin": 16, "/opt/homebrew/opt/postgresql@17/bin": 17, "/usr/local/bin": 0,
	} {
		if got := versionOf(path); got != want {
			t.Errorf("version of %s is %v, want %v", path, got, want)
		}
	}
}

func TestServerLogKeepsTheLastLines(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log := newServerLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	for i := range 30 {
		fmt.Fprintf(log, "line %d\nrest ", i)
	}
	fmt.Fprint(log, "at the end")
	log.flush()
	lines := strings.Split(log.tail(), "\n")
	if len(lines) != tailLines || lines[0] != "rest line 11" || lines[tailLines-1] != "rest at the end" {
		t.Errorf("tail is %q", lines)
	}
	if !strings.Contains(out.String(), "line 0") {
		t.Error("the logger did not get the first line")
	}
}

func TestSweepRemovesWhatNobodyHolds(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"run-dead", "run-empty", "run-held", "run-new"} {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if name != "run-empty" {
			held, err := openFolder(dir)
			if err != nil {
				t.Fatal(err)
			}
			if name == "run-held" {
				defer held.close()
			} else {
				held.close()
			}
		}
		if name != "run-new" {
			if err := os.Chtimes(dir, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	sweep(root)
	left, err := filepath.Glob(filepath.Join(root, "*"))
	if err != nil || len(left) != 2 || filepath.Base(left[0]) != "run-held" || filepath.Base(left[1]) != "run-new" {
		t.Errorf("left are %v (%v), want run-held and run-new", left, err)
	}
}

func TestPrivateFolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "folder")
	if err := privateFolder(path); err != nil {
		t.Fatal(err)
	}
	link := path + "-link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := privateFolder(link); err == nil {
		t.Error("a link that somebody may have planted is accepted")
	}
}
