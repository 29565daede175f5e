package main

import (
	"maps"

	"github.com/commercestack/commercestack/hack/cluster/layout"
)

// arguments is the command line of each component of the first node.
func (c *cluster) arguments() map[string][]string {
	pki, config := c.layout.PKI, c.layout.Config
	all := map[string][]string{
		"etcd": {
			c.programs["etcd"], "--name=" + layout.NodeName, "--data-dir=" + c.layout.State("etcd"),
			"--listen-client-urls=https://" + layout.NodeIP + ":2379", "--advertise-client-urls=https://" + layout.NodeIP + ":2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=" + layout.NodeName + "=http://127.0.0.1:2380",
			"--client-cert-auth", "--trusted-ca-file=" + pki("etcd-ca.crt"), "--cert-file=" + pki("etcd.crt"), "--key-file=" + pki("etcd.key"),
			// Losing the last writes of a throw-away cluster costs nothing, waiting for
			// the disk at each of them costs seconds.
			"--unsafe-no-fsync", "--log-level=warn",
		},
		"kube-apiserver": {
			c.programs["kube-apiserver"], "--advertise-address=" + layout.NodeIP, "--bind-address=" + layout.NodeIP, "--secure-port=6443",
			"--etcd-servers=https://" + layout.NodeIP + ":2379", "--etcd-cafile=" + pki("etcd-ca.crt"),
			"--etcd-certfile=" + pki("etcd-client.crt"), "--etcd-keyfile=" + pki("etcd-client.key"),
			"--client-ca-file=" + pki("ca.crt"), "--tls-cert-file=" + pki("kube-apiserver.crt"), "--tls-private-key-file=" + pki("kube-apiserver.key"),
			"--kubelet-certificate-authority=" + pki("ca.crt"), "--kubelet-client-certificate=" + pki("kube-apiserver-kubelet-client.crt"),
			"--kubelet-client-key=" + pki("kube-apiserver-kubelet-client.key"), "--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc." + layout.Domain, "--service-account-key-file=" + pki("sa.pub"),
			"--service-account-signing-key-file=" + pki("sa.key"), "--service-cluster-ip-range=" + layout.ServiceCIDR,
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged",
			"--enable-aggregator-routing", "--requestheader-client-ca-file=" + pki("front-proxy-ca.crt"),
			"--requestheader-allowed-names=front-proxy-client", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User",
			"--proxy-client-cert-file=" + pki("front-proxy-client.crt"), "--proxy-client-key-file=" + pki("front-proxy-client.key"),
			"--cert-dir=" + c.layout.State("kube-apiserver"),
		},
		"kube-controller-manager": {
			c.programs["kube-controller-manager"], "--kubeconfig=" + config(userManager+".kubeconfig"),
			"--authentication-kubeconfig=" + config(userManager+".kubeconfig"), "--authorization-kubeconfig=" + config(userManager+".kubeconfig"),
			"--bind-address=" + layout.NodeIP, "--leader-elect=false", "--use-service-account-credentials",
			"--root-ca-file=" + pki("ca.crt"), "--service-account-private-key-file=" + pki("sa.key"),
			"--cluster-signing-cert-file=" + pki("ca.crt"), "--cluster-signing-key-file=" + pki("ca.key"),
			"--cert-dir=" + c.layout.State("kube-controller-manager"),
			// The autoscaler's waits are minutes by default; tests of it should be short.
			"--horizontal-pod-autoscaler-sync-period=5s", "--horizontal-pod-autoscaler-downscale-stabilization=1m",
			"--horizontal-pod-autoscaler-initial-readiness-delay=5s", "--horizontal-pod-autoscaler-cpu-initialization-period=30s",
		},
		"kube-scheduler": {
			c.programs["kube-scheduler"], "--kubeconfig=" + config(userScheduler+".kubeconfig"),
			"--authentication-kubeconfig=" + config(userScheduler+".kubeconfig"), "--authorization-kubeconfig=" + config(userScheduler+".kubeconfig"),
			"--bind-address=" + layout.NodeIP, "--leader-elect=false", "--cert-dir=" + c.layout.State("kube-scheduler"),
		},
	}
	maps.Copy(all, c.nodeArguments())
	return all
}

// nodeArguments is the command line of what every node runs.
func (c *cluster) nodeArguments() map[string][]string {
	config, node := c.layout.Config, c.layout.Node()
	return map[string][]string{
		"containerd": {"containerd", "--config", config("containerd.toml")},
		"kube-proxy": {c.programs["kube-proxy"], "--config=" + config("kube-proxy.yaml")},
		"node-agent": {c.programs["node-agent"], "--kubeconfig=" + config(userAgent+".kubeconfig"), "--volumes=" + c.layout.Volumes(), "--node=" + node.Name},
		"kubelet": {
			c.programs["kubelet"], "--config=" + config("kubelet.yaml"), "--kubeconfig=" + config(node.Kubelet+".kubeconfig"),
			"--root-dir=" + c.layout.State("kubelet"), "--cert-dir=" + c.layout.State("kubelet", "pki"),
			"--hostname-override=" + node.Name, "--node-ip=" + node.IP, "--node-labels=node.kubernetes.io/instance-type=local",
		},
	}
}
