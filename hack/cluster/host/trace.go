package host

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/commercestack/commercestack/hack/cluster/layout"
)

// devicePlugins is a socket of every kubelet that no setting moves.
const devicePlugins = "/var/lib/kubelet/device-plugins/kubelet.sock"

// RefuseSecondKubelet fails when another kubelet runs on the machine: two of them
// would take this socket from each other.
func RefuseSecondKubelet(ctx context.Context) error {
	if !answers(ctx, devicePlugins) {
		return nil
	}
	return errors.New("another kubelet runs on this machine, and two can't share it: " +
		"use that cluster, or install Docker and kind, which are used instead when they work")
}

func answers(ctx context.Context, socket string) bool {
	dialer := net.Dialer{Timeout: time.Second}
	connection, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return false
	}
	connection.Close()
	return true
}

// ShimSockets are the sockets that the helpers of a containerd leave behind when
// they are ended by force; containerd keeps each one's address in its state folder.
func ShimSockets(state string) []string {
	files, _ := filepath.Glob(filepath.Join(state, "io.containerd.runtime.v2.task", "*", "*", "address"))
	sockets := make([]string, 0, len(files))
	for _, file := range files {
		address, _ := os.ReadFile(file)
		if socket, found := strings.CutPrefix(strings.TrimSpace(string(address)), "unix://"); found {
			sockets = append(sockets, socket)
		}
	}
	return sockets
}

// RemoveTraces removes what containerd and the kubelet write outside the cluster's
// folder because no setting moves it, and only the cluster's own part of it.
func RemoveTraces(place layout.Layout, sockets []string) {
	for _, socket := range sockets {
		_ = os.Remove(socket)
	}
	links, _ := filepath.Glob("/var/log/containers/*.log")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, place.State()+"/") {
			_ = os.Remove(link)
		}
	}
	// A result names the network namespace of its pod, which lay in the folder.
	results, _ := filepath.Glob("/var/lib/cni/results/*")
	for _, result := range results {
		if text, err := os.ReadFile(result); err == nil && strings.Contains(string(text), place.State()+"/") {
			_ = os.Remove(result)
		}
	}
	if !answers(context.Background(), devicePlugins) {
		_ = os.Remove(devicePlugins)
	}
	// Folders that hold nothing else any more; others are not empty and stay.
	for _, dir := range []string{
		"/var/log/containers", "/var/lib/cni/results", "/var/lib/cni", "/run/containerd/s", "/run/containerd",
		filepath.Dir(devicePlugins), "/var/lib/kubelet",
	} {
		_ = os.Remove(dir)
	}
}
