package main

import (
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/commercestack/commercestack/hack/cluster/layout"
)

// files holds the configuration of the components and the objects of the cluster.
//
//go:embed config manifests
var files embed.FS

// values is what the templates see.
type values struct {
	layout.Layout

	PodCIDR, DNSServiceIP, Domain, Network                   string
	CNIPlugins, Provisioner                                  string
	PauseImage, CoreDNSImage, MetricsServerImage, ProbeImage string
}

func newValues(place layout.Layout) values {
	return values{
		Layout:  place,
		PodCIDR: layout.PodCIDR, DNSServiceIP: layout.DNSServiceIP, Domain: layout.Domain, Network: layout.CNINetwork,
		CNIPlugins: "/usr/lib/cni", Provisioner: layout.Provisioner,
		PauseImage: pauseImage, CoreDNSImage: coreDNSImage, MetricsServerImage: metricsServerImage, ProbeImage: probeImage,
	}
}

// render fills one embedded file.
func render(name string, data any) (string, error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("read the embedded %s: %w", name, err)
	}
	parsed, err := template.New(name).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return "", fmt.Errorf("parse %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, data); err != nil {
		return "", fmt.Errorf("fill %s: %w", name, err)
	}
	return out.String(), nil
}

// writeConfig renders a file of the folder config into the cluster's state.
func (c *cluster) writeConfig(name string, elements ...string) error {
	text, err := render("config/"+name, newValues(c.layout))
	if err != nil {
		return err
	}
	path := c.layout.Config(elements...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", name, err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// writeKubeconfig writes a kubeconfig that carries its certificate and key.
func (c *cluster) writeKubeconfig(path, user string) error {
	encoded := map[string]string{"APIServer": c.layout.APIServer(), "User": user}
	for key, name := range map[string]string{"CA": "ca.crt", "Cert": user + ".crt", "Key": user + ".key"} {
		data, err := os.ReadFile(c.layout.PKI(name))
		if err != nil {
			return fmt.Errorf("read the certificate for a kubeconfig: %w", err)
		}
		encoded[key] = base64.StdEncoding.EncodeToString(data)
	}
	text, err := render("config/kubeconfig.yaml", encoded)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
