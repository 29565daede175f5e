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

// NetworkUp makes the node's network namespace and links it to the machine. Pods
// and services are routed through the link, so that programs on the machine reach
// them; nothing on the machine forwards packets, so pods reach no other network.
func NetworkUp(ctx context.Context, l layout.Layout) error {
	file, err := os.OpenFile(l.Namespace(), os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the file of the network namespace: %w", err)
	}
	file.Close()
	commands := [][]string{
		{"unshare", "--net=" + l.Namespace(), "true"},
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
	}
	for _, command := range commands {
		if err := Run(ctx, command...); err != nil {
			return fmt.Errorf("set up the node's network: %w", err)
		}
	}
	return nil
}

// NetworkDown removes the link and the namespace with everything in it: pods'
// interfaces, routes, and the rules of kube-proxy and of the network policies.
func NetworkDown(ctx context.Context, l layout.Layout) error {
	if _, err := os.Stat(filepath.Join("/sys/class/net", layout.HostLink)); err == nil {
		if err := Run(ctx, "ip", "link", "delete", layout.HostLink); err != nil {
			return fmt.Errorf("remove the link to the node: %w", err)
		}
	}
	err := syscall.Unmount(l.Namespace(), syscall.MNT_DETACH)
	if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("unmount the node's network namespace: %w", err)
	}
	return nil
}
