package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hierarchy is one mounted tree of control groups.
type hierarchy struct {
	mount   string
	unified bool
}

// MakeCgroup makes a control group of that name in every hierarchy, for a kubelet
// to put its pods into.
func MakeCgroup(name string) error {
	trees, err := hierarchies()
	if err != nil {
		return err
	}
	for _, tree := range trees {
		dir := filepath.Join(tree.mount, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make the control group of the pods: %w", err)
		}
		if tree.unified {
			delegate(tree.mount)
			delegate(dir)
		}
		// A new cpuset group is empty, and no process fits into an empty one.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if value, err := os.ReadFile(filepath.Join(tree.mount, file)); err == nil && !tree.unified {
				_ = os.WriteFile(filepath.Join(dir, file), value, 0o644)
			}
		}
	}
	return nil
}

// delegate turns on the controllers that a group offers for the groups below it.
// One that can't be turned on is missed by the kubelet, which then says so.
func delegate(dir string) {
	offered, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return
	}
	for controller := range strings.FieldsSeq(string(offered)) {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
	}
}

// EndCgroup ends every process in the control group and removes it. Only pods'
// processes are ever put into it, so whatever is found there is the cluster's.
func EndCgroup(ctx context.Context, name string) error {
	trees, err := hierarchies()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		left := 0
		for _, tree := range trees {
			for _, pid := range processes(filepath.Join(tree.mount, name)) {
				left++
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes of pods do not end", left)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	for _, tree := range trees {
		for _, dir := range slices.Backward(folders(filepath.Join(tree.mount, name))) {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove a control group of the pods: %w", err)
			}
		}
	}
	return nil
}

// processes lists the processes in a control group and the groups below it.
func processes(dir string) []int {
	var pids []int
	for _, folder := range folders(dir) {
		data, _ := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
		for line := range strings.FieldsSeq(string(data)) {
			if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// folders lists a folder and those below it, parents first; none if it is absent.
func folders(dir string) []string {
	var found []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			found = append(found, path)
		}
		return nil
	})
	return found
}

func hierarchies() ([]hierarchy, error) {
	file, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("list the mounts: %w", err)
	}
	defer file.Close()
	var trees []hierarchy
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		fields := strings.Fields(scanner.Text())
		if len(fields) < 3 || !strings.HasPrefix(fields[1], "/sys/fs/cgroup") {
			continue
		}
		if fields[2] == "cgroup" || fields[2] == "cgroup2" {
			trees = append(trees, hierarchy{mount: fields[1], unified: fields[2] == "cgroup2"})
		}
	}
	if len(trees) == 0 {
		return nil, errors.New("no control groups are mounted under /sys/fs/cgroup; mount them first")
	}
	return trees, nil
}
