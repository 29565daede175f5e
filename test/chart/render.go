package chart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// The release that is rendered: named as the chart, so that objects are named as
// kustomize names them.
const (
	Release   = "commercestack-operator"
	Namespace = "commercestack-system"
)

// Root is the top folder of the repository, seen from a test of this package.
const Root = "../.."

// Dir is the chart.
const Dir = Root + "/charts/commercestack-operator"

// Monitoring are the kinds that a cluster with the Prometheus operator has.
var Monitoring = []string{
	"--api-versions=monitoring.coreos.com/v1/ServiceMonitor",
	"--api-versions=monitoring.coreos.com/v1/PrometheusRule",
}

// Helm runs helm as hack/tool builds it, and returns what it prints.
func Helm(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(Root, "hack", "tool"), append([]string{"helm"}, args...)...)
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("helm %s: %w\n%s", args[0], err, errOut.String())
	}
	return out.String(), nil
}

// Template renders the chart as helm installs it.
func Template(ctx context.Context, args ...string) ([]*unstructured.Unstructured, error) {
	out, err := Helm(ctx, append([]string{"template", Release, Dir, "--namespace", Namespace}, args...)...)
	if err != nil {
		return nil, err
	}
	return decode(strings.NewReader(out))
}

// Kustomize renders a folder of config.
func Kustomize(dir string) ([]*unstructured.Unstructured, error) {
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(Root, "config", dir))
	if err != nil {
		return nil, fmt.Errorf("kustomize %s: %w", dir, err)
	}
	text, err := rendered.AsYaml()
	if err != nil {
		return nil, err
	}
	return decode(bytes.NewReader(text))
}

// decode reads documents, and leaves empty ones out.
func decode(r io.Reader) ([]*unstructured.Unstructured, error) {
	const buffer = 4096
	decoder := yaml.NewYAMLOrJSONDecoder(r, buffer)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		switch {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, err
		case len(object.Object) > 0:
			objects = append(objects, object)
		}
	}
}

// Key names an object among the rendered ones.
func Key(o *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
}
