package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/commercestack/commercestack/hack/cluster/layout"
	"github.com/commercestack/commercestack/hack/cluster/pki"
)

// Users of the components; the API server knows what each of them may do.
const (
	userAdmin     = "admin"
	userManager   = "kube-controller-manager"
	userScheduler = "kube-scheduler"
	userProxy     = "kube-proxy"
	userAgent     = "node-agent"
)

// makeTrust writes every authority, certificate, key and kubeconfig.
func (c *cluster) makeTrust() error {
	issued := map[string][]pki.Request{
		"ca": {
			{Name: "kube-apiserver", CommonName: "kube-apiserver", Hosts: []string{
				layout.NodeIP, layout.APIServiceIP, "127.0.0.1", "localhost", layout.NodeName,
				"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + layout.Domain,
			}},
			{Name: "kube-apiserver-kubelet-client", CommonName: "kube-apiserver-kubelet-client"},
			{Name: userAdmin, CommonName: "kubernetes-admin", Organizations: []string{"system:masters"}},
			{Name: userManager, CommonName: "system:kube-controller-manager"},
			{Name: userScheduler, CommonName: "system:kube-scheduler"},
			{Name: userProxy, CommonName: "system:kube-proxy"},
			{Name: userAgent, CommonName: "commercestack:node-agent"},
		},
		"front-proxy-ca": {{Name: "front-proxy-client", CommonName: "front-proxy-client"}},
		"etcd-ca": {
			{Name: "etcd", CommonName: "etcd", Hosts: []string{layout.NodeIP}},
			{Name: "etcd-client", CommonName: "kube-apiserver"},
		},
	}
	// The second node's are made with the first's: their authority signs only here.
	for _, node := range []layout.Node{c.layout.Node(), c.layout.Worker().Node()} {
		user, groups := "system:node:"+node.Name, []string{"system:nodes"}
		issued["ca"] = append(issued["ca"],
			pki.Request{Name: node.Kubelet, CommonName: user, Organizations: groups},
			pki.Request{Name: node.Kubelet + "-server", CommonName: user, Organizations: groups, Hosts: []string{node.IP, node.Name}})
	}
	for name, requests := range issued {
		authority, err := pki.NewAuthority(c.layout.PKI(), name)
		if err != nil {
			return err
		}
		for _, request := range requests {
			if err := authority.Issue(request); err != nil {
				return err
			}
		}
	}
	if err := pki.WriteSigningKey(c.layout.PKI(), "sa"); err != nil {
		return err
	}
	if err := c.writeKubeconfig(c.layout.Kubeconfig(), userAdmin); err != nil {
		return err
	}
	return c.writeKubeconfigs(userManager, userScheduler, c.layout.Node().Kubelet, userProxy, userAgent)
}

// writeKubeconfigs writes the kubeconfigs of the node's components.
func (c *cluster) writeKubeconfigs(users ...string) error {
	for _, user := range users {
		if err := c.writeKubeconfig(c.layout.Config(user+".kubeconfig"), user); err != nil {
			return err
		}
	}
	return nil
}

// writeConfigs renders the components' configuration files.
func (c *cluster) writeConfigs() error {
	for name, path := range map[string][]string{
		"containerd.toml": {"containerd.toml"},
		"cni.conflist":    {"cni", "10-commercestack.conflist"},
		"kubelet.yaml":    {"kubelet.yaml"},
		"kube-proxy.yaml": {"kube-proxy.yaml"},
	} {
		if err := c.writeConfig(name, path...); err != nil {
			return err
		}
	}
	// Pods with dnsPolicy Default resolve nothing: there is no network outside.
	resolver := filepath.Join(c.layout.Config(), "resolv.conf")
	if err := os.WriteFile(resolver, []byte("nameserver "+layout.HostIP+"\n"), 0o644); err != nil {
		return fmt.Errorf("write the node's resolver: %w", err)
	}
	return nil
}
