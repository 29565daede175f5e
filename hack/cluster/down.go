package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/commercestack/commercestack/hack/cluster/host"
)

// grace is how long a component may take to end by itself. All that it would save
// in a longer time is thrown away anyway.
const grace = 3 * time.Second

// down stops the cluster and removes all that it made. Built programs, images and
// logs stay.
func (c *cluster) down(ctx context.Context) error {
	if err := needRoot(); err != nil {
		return err
	}
	if _, err := os.Stat(c.layout.State()); errors.Is(err, os.ErrNotExist) {
		c.progress.line("no cluster is there")
		return nil
	}
	if err := c.remove(ctx); err != nil {
		return err
	}
	c.progress.line("the cluster is gone")
	return nil
}

// remove works on whatever is there, also after a crash at any point of up.
func (c *cluster) remove(ctx context.Context) error {
	if err := c.worker().end(ctx); err != nil {
		return err
	}
	// The kubelet first, or it would start pods again while they are ended; and
	// containerd last, since it takes note of their end.
	for _, name := range slices.Backward(components) {
		if name != "containerd" {
			if err := c.supervisor.Stop(name, grace); err != nil {
				return err
			}
		}
	}
	c.progress.line("kubelet and control plane have ended")
	if err := host.EndCgroup(ctx, c.layout.Node().CgroupRoot); err != nil {
		return err
	}
	sockets := host.ShimSockets(c.layout.Run("containerd"))
	if err := c.endShims(); err != nil {
		return err
	}
	if err := c.supervisor.Stop("containerd", grace); err != nil {
		return err
	}
	c.progress.line("pods and containerd have ended")
	if err := host.UnmountBelow(c.layout.State()); err != nil {
		return err
	}
	if err := host.NetworkDown(ctx, c.layout); err != nil {
		return err
	}
	if err := host.RestoreSettings(c.layout.Run("settings")); err != nil {
		return err
	}
	host.RemoveTraces(c.layout, sockets)
	for _, path := range []string{c.layout.Kubeconfig(), c.layout.State()} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove the cluster's files: %w", err)
		}
	}
	return nil
}

// endShims ends the processes that containerd keeps beside each pod. They are told
// from others by the socket on their command line, which lies in this folder.
func (c *cluster) endShims() error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		shims := c.shims()
		if len(shims) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d helpers of containerd do not end", len(shims))
		}
		for _, pid := range shims {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func (c *cluster) shims() []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		data, _ := os.ReadFile(file)
		args := strings.Split(string(data), "\x00")
		if filepath.Base(args[0]) == "containerd-shim-runc-v2" && slices.Contains(args, c.layout.ContainerdSocket()) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
