package host

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMountsBelow(t *testing.T) {
	t.Parallel()
	mountinfo := strings.Join([]string{
		"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw",
		"40 22 0:40 / /cache/state rw - tmpfs tmpfs rw",
		"41 40 0:41 / /cache/state/pods/a rw - tmpfs tmpfs rw",
		"42 41 0:42 / /cache/state/pods/a/with\\040space rw - tmpfs tmpfs rw",
		"43 22 0:43 / /cache/state-of-another rw - tmpfs tmpfs rw",
		"broken",
	}, "\n")
	got := mountsBelow(strings.NewReader(mountinfo), "/cache/state")
	want := []string{"/cache/state/pods/a", "/cache/state/pods/a/with space"}
	if !slices.Equal(got, want) {
		t.Errorf("mounts = %q, want %q", got, want)
	}
}

func TestFoldersComeParentsFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "pods", "one"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pods", "cgroup.procs"), []byte("12\n13\n0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, want := folders(dir), []string{dir, filepath.Join(dir, "pods"), filepath.Join(dir, "pods", "one")}; !slices.Equal(got, want) {
		t.Errorf("folders = %q, want %q", got, want)
	}
	if got := processes(dir); !slices.Equal(got, []int{12, 13}) {
		t.Errorf("processes = %v", got)
	}
	if got := folders(filepath.Join(dir, "absent")); got != nil {
		t.Errorf("folders of an absent folder = %q", got)
	}
}

func TestSettingsOfNothingSaved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "settings")
	if err := RestoreSettings(path); err != nil {
		t.Error(err)
	}
	if err := SaveSettings(path); err != nil {
		t.Fatal(err)
	}
	if err := RestoreSettings(path); err != nil {
		t.Error(err)
	}
}

func TestRunSaysWhatFailed(t *testing.T) {
	t.Parallel()
	err := Run(t.Context(), "sh", "-c", "echo no such link >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "no such link") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("err = %v", err)
	}
}

func TestShimSockets(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	task := filepath.Join(state, "io.containerd.runtime.v2.task", "k8s.io", "one")
	if err := os.MkdirAll(task, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(task, "address"), []byte("unix:///run/containerd/s/abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := ShimSockets(state); !slices.Equal(got, []string{"/run/containerd/s/abc"}) {
		t.Errorf("sockets = %q", got)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	if answers(t.Context(), socket) {
		t.Error("an absent socket answers")
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if !answers(t.Context(), socket) {
		t.Error("a socket that is listened to does not answer")
	}
}
