package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endOrphan ends a server that still runs on the cluster although nobody holds the folder's lock, and removes a
// postmaster.pid whose number now belongs to some other process, which PostgreSQL would wait for in vain. The file is
// removed only when no process works in the cluster: it is what keeps two servers off the same data.
func (d *folder) endOrphan(ctx context.Context) error {
	pidFile := filepath.Join(d.cluster(), "postmaster.pid")
	text, err := os.ReadFile(pidFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	postmaster, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		postmaster = 0 // an empty file, written when the disk was full or the machine lost power
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		workers, err := processesIn(d.cluster())
		if err != nil {
			return err
		}
		if len(workers) == 0 {
			break
		}
		for _, pid := range workers {
			// Its children end with the postmaster; without one they end when they notice, or are made to.
			if pid == postmaster || signal == syscall.SIGKILL {
				_ = syscall.Kill(pid, signal)
			}
		}
		if err := waitGone(ctx, d.cluster(), 10*time.Second); err != nil {
			return err
		}
	}
	if workers, err := processesIn(d.cluster()); err != nil || len(workers) > 0 {
		return errors.Join(err, fmt.Errorf("processes %v still work in %s", workers, d.cluster()))
	}
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func waitGone(ctx context.Context, dir string, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		workers, err := processesIn(dir)
		if err != nil || len(workers) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(readyPoll):
		}
	}
	return nil
}

// processesIn answers the processes whose working directory is dir: every process of a PostgreSQL server works in its
// data folder.
func processesIn(dir string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// Processes of other users cannot be read; they cannot write to the cluster either.
		if cwd, err := os.Readlink(filepath.Join("/proc", entry.Name(), "cwd")); err == nil && cwd == dir {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
