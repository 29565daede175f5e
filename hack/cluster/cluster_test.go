package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/commercestack/commercestack/hack/cluster/layout"
	"github.com/commercestack/commercestack/hack/image/catalog"
)

func newTestCluster(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(layout.Layout{Root: t.TempDir()}, "1.2.3")
	c.progress = newProgress(&strings.Builder{})
	c.programs = map[string]string{}
	for _, name := range append(programNames, "node-agent") {
		c.programs[name] = "/programs/" + name
	}
	for _, dir := range []string{c.layout.Run(), c.layout.Config(), c.layout.Logs()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestManifestsAreObjects(t *testing.T) {
	t.Parallel()
	names, err := files.ReadDir("manifests")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := render("manifests/"+name.Name(), newValues(layout.Layout{Root: "/cluster"}))
		if err != nil {
			t.Fatal(err)
		}
		decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 1024)
		count := 0
		for {
			var object struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
				Metadata   struct {
					Name string `json:"name"`
				} `json:"metadata"`
			}
			if err := decoder.Decode(&object); err != nil {
				break
			}
			count++
			if object.APIVersion == "" || object.Kind == "" || object.Metadata.Name == "" {
				t.Errorf("%s: object %d is %+v", name.Name(), count, object)
			}
		}
		if want := strings.Count(text, "\n---\n") + 1; count != want {
			t.Errorf("%s: %d objects are readable, want %d", name.Name(), count, want)
		}
	}
}

// Every file that a command line or a configuration names must be one that is made.
func TestComponentsAreGivenWhatIsMade(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	if err := errors.Join(c.makeTrust(), c.writeConfigs()); err != nil {
		t.Fatal(err)
	}
	arguments := c.arguments()
	for _, name := range components {
		if len(arguments[name]) == 0 {
			t.Errorf("%s has no command line", name)
		}
		for _, argument := range arguments[name] {
			checkFile(t, c, name, argument)
		}
	}
	for _, config := range []string{"kubelet.yaml", "kube-proxy.yaml", "containerd.toml"} {
		text, err := os.ReadFile(c.layout.Config(config))
		if err != nil {
			t.Fatal(err)
		}
		for field := range strings.FieldsFuncSeq(string(text), func(r rune) bool { return strings.ContainsRune(" \n{}\"[],", r) }) {
			checkFile(t, c, config, field)
		}
	}
}

func checkFile(t *testing.T, c *cluster, owner, argument string) {
	t.Helper()
	_, path, found := strings.Cut(argument, "=")
	if !found {
		path = argument
	}
	if !strings.HasPrefix(path, c.layout.PKI()) && !strings.HasPrefix(path, c.layout.Config()) {
		return
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("%s is given %s, which is not made", owner, path)
	}
}

func TestKubeconfigBelongsToTheUserOnly(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	if err := c.makeTrust(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(c.layout.Kubeconfig())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, err = %v", info.Mode(), err)
	}
	text, err := os.ReadFile(c.layout.Kubeconfig())
	if err != nil || !strings.Contains(string(text), c.layout.APIServer()) {
		t.Errorf("kubeconfig = %s, err = %v", text, err)
	}
}

func TestWaitForTellsWhyAComponentEnded(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	if err := os.WriteFile(c.supervisor.LogFile("etcd"), []byte("first\nthe port is in use\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := c.waitFor(t.Context(), "etcd", func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "the port is in use") {
		t.Errorf("err = %v", err)
	}
}

func TestRunSaysWhatItCanDo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"start"}, {"up", "down"}} {
		err := run(t.Context(), args)
		if err == nil || !strings.Contains(err.Error(), "check, down, images, node add, node lose, node remove, outage, status, up") {
			t.Errorf("run(%q) = %v", args, err)
		}
	}
}

func TestProofs(t *testing.T) {
	t.Parallel()
	answers := map[string]error{
		"answers": nil,
		"drops":   errors.New(`Get "http://server": context deadline exceeded`),
		"refuses": errors.New("connection refused"),
	}
	k := &checker{progress: newProgress(&strings.Builder{}), kubectl: func(_ context.Context, _ string, args ...string) (string, error) {
		return "", answers[args[len(args)-1]]
	}}
	for address, want := range map[string]bool{"answers": false, "drops": true, "refuses": false} {
		if err := k.isDenied("one", "pod", address)(t.Context()); (err == nil) != want {
			t.Errorf("denied by one that %s: %v", address, err)
		}
	}
	tries := 0
	err := k.prove(t.Context(), []proof{{"in the end", 10 * time.Second, func(context.Context) error {
		if tries++; tries < 2 {
			return errors.New("not yet")
		}
		return nil
	}}})
	if err != nil || tries != 2 {
		t.Errorf("%d tries, err = %v", tries, err)
	}
	err = k.prove(t.Context(), []proof{{"never", 0, k.connects("one", "pod", "refuses")}})
	if err == nil || !strings.Contains(err.Error(), "never") {
		t.Errorf("err = %v", err)
	}
}

func TestSystemImagesAreThoseOfTheManifests(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Concat(catalog.System(), catalog.Platform()) {
		if !slices.Contains(catalog.Names(), name) {
			t.Errorf("%s is in no catalog", name)
		}
	}
	text, err := render("config/containerd.toml", newValues(layout.Layout{Root: filepath.Clean("/cluster")}))
	if err != nil || !strings.Contains(text, `sandbox_image = "commercestack/pause:1"`) {
		t.Errorf("containerd.toml: %v\n%s", err, text)
	}
}
