// Package kubetest gives tests a real API server with its own etcd. The programs are
// built from Go modules on first use, so `go test` needs nothing prepared; what goes
// wrong fails the test and never skips it.
package kubetest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// script prints the folder of the programs, from the repository's top folder.
const script = "hack/cluster/envtest.sh"

// Cluster is a running API server without nodes: objects are stored, validated and
// watched, and no controller acts on them.
type Cluster struct {
	// Config connects as an administrator, without a limit of requests.
	Config *rest.Config
	// Environment adds users and custom resources.
	Environment *envtest.Environment
}

// Start starts an API server with the custom resources of the given folders, which
// are relative to the repository's top folder. It is for TestMain; a single test uses
// New.
func Start(crds ...string) (*Cluster, error) {
	return StartWith(func(*envtest.APIServer) {}, crds...)
}

// StartWith is Start of an API server with more arguments than usual.
func StartWith(configure func(*envtest.APIServer), crds ...string) (*Cluster, error) {
	root, err := findRoot()
	if err != nil {
		return nil, err
	}
	assets, err := findAssets(root)
	if err != nil {
		return nil, err
	}
	environment := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		ErrorIfCRDPathMissing: true,
		// Busy machines need most of it; waiting costs nothing when all is well.
		ControlPlaneStartTimeout: 3 * time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	for _, dir := range crds {
		environment.CRDDirectoryPaths = append(environment.CRDDirectoryPaths, filepath.Join(root, dir))
	}
	// Stacks have a dozen Services each; the range that is the default has 254 addresses.
	environment.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.0.0.0/16")
	configure(environment.ControlPlane.GetAPIServer())
	config, err := startLazily(environment)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start kube-apiserver and etcd of %s: %w", assets, err), environment.Stop())
	}
	config.QPS, config.Burst = -1, 0
	return &Cluster{Config: config, Environment: environment}, nil
}

// startLazily starts the servers with a garbage collector that rarely runs: two
// processors are shared by them and the tests, memory is there, and a fifth of their
// work is collecting otherwise. They have their environment from this process, so the
// variable is there only while they start, for no other program is to inherit it.
func startLazily(environment *envtest.Environment) (*rest.Config, error) {
	const variable = "GOGC"
	if os.Getenv(variable) == "" {
		if err := os.Setenv(variable, "400"); err != nil {
			return nil, fmt.Errorf("set %s: %w", variable, err)
		}
		defer func() { _ = os.Unsetenv(variable) }()
	}
	return environment.Start()
}

// Stop ends the API server and its etcd.
func (c *Cluster) Stop() error {
	if err := c.Environment.Stop(); err != nil {
		return fmt.Errorf("stop kube-apiserver and etcd: %w", err)
	}
	return nil
}

// New starts an API server for one test and stops it at its end.
func New(t testing.TB, crds ...string) *Cluster {
	t.Helper()
	return NewWith(t, func(*envtest.APIServer) {}, crds...)
}

// NewWith is New of an API server with more arguments than usual.
func NewWith(t testing.TB, configure func(*envtest.APIServer), crds ...string) *Cluster {
	t.Helper()
	cluster, err := StartWith(configure, crds...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	return cluster
}

// findAssets takes the folder that KUBEBUILDER_ASSETS names, or builds the programs.
func findAssets(root string) (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir, nil
	}
	command := exec.Command(filepath.Join(root, script))
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("build kube-apiserver and etcd with %s: %w: %s", script, err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// findRoot goes up from the test's folder to the one that has the script.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the test's folder: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, script)); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("%s is in no folder above the test: run tests inside the repository", script)
		}
		dir = parent
	}
}
