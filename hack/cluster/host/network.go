package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/commercestack/commercestack/hack/cluster/layout"
)

// InNamespace is the command that runs args inside the node's network namespace.
// It shares the machine's mounts: containerd, the kubelet and the tools must see
// each other's.
func InNamespace(l layout.Layout, args ...string) []string {
	return append([]string{"nsenter", "--net=" + l.Namespace(), "--"}, args...)
}

// makeNamespace makes a node's network namespace and mounts it on its file.
func makeNamespace(ctx context.Context, l layout.Layout) error {
	file, err := os.OpenFile(l.Namespace(), os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the file of the network namespace: %w", err)
	}
	file.Close()
	return runAll(ctx, [][]string{{"unshare", "--net=" + l.Namespace(), "true"}}, "make the network namespace")
}

// runAll runs commands one after the other; what they do together is for the error.
func runAll(ctx context.Context, commands [][]string, what string) error {
	for _, command := range commands {
		if err := Run(ctx, command...); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// NetworkUp makes the node's network namespace and links it to the machine. Pods
// and services are routed through the link, so that programs on the machine reach
// them; nothing on the machine forwards packets, so pods reach no other network.
func NetworkUp(ctx context.Context, l layout.Layout) error {
	if err := makeNamespace(ctx, l); err != nil {
		return err
	}
	return runAll(ctx, [][]string{
		{"ip", "link", "add", layout.HostLink, "mtu", "1400", "type", "veth", "peer", "name", "eth0", "netns", l.Namespace()},
		{"ip", "address", "add", layout.HostIP + "/" + layout.LinkPrefix, "dev", layout.HostLink},
		{"ip", "link", "set", layout.HostLink, "up"},
		{"ip", "route", "add", layout.PodCIDR, "via", layout.NodeIP},
		{"ip", "route", "add", layout.ServiceCIDR, "via", layout.NodeIP},
		InNamespace(l, "ip", "link", "set", "lo", "up"),
		InNamespace(l, "ip", "address", "add", layout.NodeIP+"/"+layout.LinkPrefix, "dev", "eth0"),
		InNamespace(l, "ip", "link", "set", "eth0", "mtu", "1400", "up"),
		// Without a default route no service address could be dialled from the node.
		InNamespace(l, "ip", "route", "add", "default", "via", layout.HostIP),
		InNamespace(l, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"),
		// Addresses of pods that do not exist are nobody's: without this they
		// would travel back and forth between the node and the machine.
		InNamespace(l, "ip", "route", "add", "unreachable", layout.PodCIDR),
	}, "set up the node's network")
}

// WorkerUp makes the second node's network namespace and links it to the first's,
// through which it also reaches the machine.
func WorkerUp(ctx context.Context, worker layout.Layout) error {
	first := layout.Layout{Root: worker.Root}
	if err := makeNamespace(ctx, worker); err != nil {
		return err
	}
	return runAll(ctx, [][]string{
		InNamespace(first, "ip", "link", "add", layout.WorkerLink, "mtu", "1400", "type", "veth", "peer", "name", "eth0", "netns", worker.Namespace()),
		InNamespace(first, "ip", "address", "add", layout.GatewayIP+"/"+layout.LinkPrefix, "dev", layout.WorkerLink),
		InNamespace(first, "ip", "link", "set", layout.WorkerLink, "mtu", "1400", "up"),
		InNamespace(worker, "ip", "link", "set", "lo", "up"),
		InNamespace(worker, "ip", "address", "add", layout.WorkerIP+"/"+layout.LinkPrefix, "dev", "eth0"),
		InNamespace(worker, "ip", "link", "set", "eth0", "mtu", "1400", "up"),
		InNamespace(worker, "ip", "route", "add", "default", "via", layout.GatewayIP),
		InNamespace(worker, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"),
		InNamespace(worker, "ip", "route", "add", "unreachable", layout.WorkerPodCIDR),
		InNamespace(first, "ip", "route", "add", layout.WorkerPodCIDR, "via", layout.WorkerIP),
	}, "set up the second node's network")
}

// CutWorker cuts the link between the nodes. What is sent to the other side from
// then on vanishes without an error, as it does between machines of a cloud: the
// neighbour's address is kept, since its loss would be told to senders at once.
func CutWorker(ctx context.Context, first, worker layout.Layout) error {
	return runAll(ctx, [][]string{
		InNamespace(first, "ip", "neighbour", "replace", layout.WorkerIP, "lladdr", nobody,
			"nud", "permanent", "dev", layout.WorkerLink),
		InNamespace(worker, "ip", "link", "set", "eth0", "down"),
	}, "cut the link to the second node")
}

// nobody is a hardware address that no interface has.
const nobody = "02:00:00:00:00:01"

// WorkerDown removes the second node's namespace, and its link with it.
func WorkerDown(ctx context.Context, worker layout.Layout) error {
	first := layout.Layout{Root: worker.Root}
	if Run(ctx, InNamespace(first, "ip", "link", "show", layout.WorkerLink)...) == nil {
		if err := Run(ctx, InNamespace(first, "ip", "link", "delete", layout.WorkerLink)...); err != nil {
			return fmt.Errorf("remove the link to the second node: %w", err)
		}
	}
	return unmountNamespace(worker)
}

// NetworkDown removes the link and the namespace with everything in it: pods'
// interfaces, routes, and the rules of kube-proxy and of the network policies.
func NetworkDown(ctx context.Context, l layout.Layout) error {
	if _, err := os.Stat(filepath.Join("/sys/class/net", layout.HostLink)); err == nil {
		if err := Run(ctx, "ip", "link", "delete", layout.HostLink); err != nil {
			return fmt.Errorf("remove the link to the node: %w", err)
		}
	}
	return unmountNamespace(l)
}

func unmountNamespace(l layout.Layout) error {
	err := syscall.Unmount(l.Namespace(), syscall.MNT_DETACH)
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("unmount the node's network namespace: %w", err)
	}
	return nil
}
