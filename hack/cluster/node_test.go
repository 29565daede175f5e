package main

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/commercestack/commercestack/hack/cluster/layout"
	"github.com/commercestack/commercestack/hack/cluster/process"
)

// The second node is given what is made, and nothing of the first node's but what both share.
func TestWorkerIsGivenWhatIsMade(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	worker := c.worker()
	if err := errors.Join(c.makeTrust(), c.writeConfigs(), worker.makeFolders(nodeComponents),
		worker.writeKubeconfigs(worker.layout.Node().Kubelet, userProxy, userAgent), worker.writeConfigs()); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, name := range nodeComponents {
		arguments := worker.nodeArguments()[name]
		if len(arguments) == 0 {
			t.Errorf("%s has no command line", name)
		}
		for _, argument := range arguments {
			checkFile(t, worker, name, argument)
			texts = append(texts, argument)
		}
	}
	for _, config := range []string{"kubelet.yaml", "kube-proxy.yaml", "containerd.toml", "cni/10-commercestack.conflist"} {
		text, err := os.ReadFile(worker.layout.Config(config))
		if err != nil {
			t.Fatal(err)
		}
		for field := range strings.FieldsFuncSeq(string(text), func(r rune) bool { return strings.ContainsRune(" \n{}\"[],", r) }) {
			checkFile(t, worker, config, field)
			texts = append(texts, field)
		}
	}
	first := c.layout.Node()
	for _, text := range texts {
		_, value, _ := strings.Cut(text, "=")
		for _, own := range []string{first.Name, first.IP, first.PodCIDR, first.CgroupRoot, c.layout.ContainerdSocket(), c.layout.Volumes()} {
			if text == own || value == own {
				t.Errorf("the second node is given the first's %s", own)
			}
		}
	}
}

// Addresses of the nodes never meet, and both nodes' pods are within the range that is routed.
func TestNodesShareNoAddress(t *testing.T) {
	t.Parallel()
	all := netip.MustParsePrefix(layout.PodCIDR)
	first, worker := layout.Layout{}.Node(), layout.Layout{}.Worker().Node()
	one, two := netip.MustParsePrefix(first.PodCIDR), netip.MustParsePrefix(worker.PodCIDR)
	if one.Overlaps(two) {
		t.Errorf("%s and %s meet", one, two)
	}
	for _, pods := range []netip.Prefix{one, two} {
		if !all.Contains(pods.Addr()) || pods.Bits() <= all.Bits() {
			t.Errorf("%s is not a part of %s", pods, all)
		}
	}
	for _, address := range []string{layout.HostIP, layout.NodeIP, layout.GatewayIP, layout.WorkerIP} {
		if all.Contains(netip.MustParseAddr(address)) {
			t.Errorf("%s could be a pod's", address)
		}
	}
	if first.Name == worker.Name || first.IP == worker.IP || first.CgroupRoot == worker.CgroupRoot || first.Kubelet == worker.Kubelet {
		t.Errorf("the nodes are %+v and %+v", first, worker)
	}
}

func TestLoadedImages(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	for _, name := range []string{"probe", "commercestack"} {
		if err := errors.Join(os.MkdirAll(c.layout.State("images"), 0o755), os.WriteFile(c.layout.State("images", name), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := c.loadedImages(), []string{"commercestack", "probe"}; !slices.Equal(got, want) {
		t.Errorf("images = %q, want %q", got, want)
	}
	if got := c.worker().loadedImages(); len(got) != 0 {
		t.Errorf("the second node has %q before it is there", got)
	}
}

// What joins the second node's mounts can't start before what makes them.
func TestMountsOfTheWorker(t *testing.T) {
	t.Parallel()
	worker := newTestCluster(t).worker()
	if err := worker.makeFolders(nodeComponents); err != nil {
		t.Fatal(err)
	}
	if _, err := worker.inOwnMounts("kubelet", []string{"kubelet"}); err == nil {
		t.Error("the kubelet joins mounts that nobody has made")
	}
	if err := worker.supervisor.Start(process.Spec{Name: "containerd", Args: []string{"sleep", "60"}}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = worker.supervisor.Stop("containerd", 0) }()
	args, err := worker.inOwnMounts("kubelet", []string{"kubelet", "--flag"})
	if err != nil {
		t.Fatal(err)
	}
	pid, err := worker.supervisor.PID("containerd")
	if err != nil || !slices.ContainsFunc(args, func(a string) bool { return filepath.Base(filepath.Dir(a)) == "ns" }) || args[len(args)-1] != "--flag" {
		t.Errorf("process %d (%v), command line %q", pid, err, args)
	}
}

// Nothing happens to a second node that is not there.
func TestNoWorker(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	if c.worker().exists() {
		t.Error("a second node is there")
	}
	if err := c.worker().end(t.Context()); err != nil {
		t.Error(err)
	}
	if needRoot() != nil {
		t.Skip("needs root")
	}
	for name, does := range map[string]error{"lose": c.loseNode(t.Context()), "remove": c.removeNode(t.Context())} {
		if !errors.Is(does, errNoWorker) {
			t.Errorf("%s: %v", name, does)
		}
	}
}
