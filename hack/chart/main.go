// Chart copies into the Helm chart what it shares with config/ (the CRD, the
// rules of the roles, the admission policies, the alerts and the dashboards), so
// that the chart and kustomize install the same, and writes the table of values
// of its README.
//
//	go run ./hack/chart
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	configDir = "config"
	chartDir  = "charts/commercestack-operator"
)

func main() {
	if err := generate("."); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

// generate writes every generated file of the tree at root.
func generate(root string) error {
	config, chart := filepath.Join(root, configDir), filepath.Join(root, chartDir)
	if err := copyFolder(filepath.Join(config, "crd"), filepath.Join(chart, "files", "crds"), "*_*.yaml"); err != nil {
		return err
	}
	if err := copyFolder(filepath.Join(config, "dashboards"), filepath.Join(chart, "files", "dashboards"), "*.json"); err != nil {
		return err
	}
	if err := writeRoles(filepath.Join(config, "rbac"), filepath.Join(chart, "files")); err != nil {
		return err
	}
	if err := writePolicies(filepath.Join(config, "admission"), filepath.Join(chart, "files")); err != nil {
		return err
	}
	if err := writeRules(filepath.Join(config, "prometheus"), filepath.Join(chart, "files")); err != nil {
		return err
	}
	return writeTable(filepath.Join(chart, "values.yaml"), filepath.Join(chart, "README.md"))
}
