//go:build cluster

package cluster_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/test/shop"
)

const (
	// previousVersion and currentVersion are the tags of the platform's images.
	previousVersion = "0.0.9"
	currentVersion  = "0.1.0"
)

// TestUpgrade begins with the release before this one, which PREVIOUS names as a
// commit: its chart, its operator and its shop, all built from its source. The new
// operator restarts nothing, and then the shop goes over to the new version by a
// canary, in which both versions serve the same customers on the same database,
// and back.
func TestUpgrade(t *testing.T) {
	source := previousRelease(t)
	if err := helm("uninstall", release, "--namespace", operatorNamespace, "--wait"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := installOperator(); err != nil {
			t.Error(err)
		}
	})
	if err := helm("upgrade", "--install", release, filepath.Join(source, "charts/commercestack-operator"), "--namespace", operatorNamespace,
		"--set", "image.tag="+previousVersion, "--wait"); err != nil {
		t.Fatal(err)
	}
	object := sample(t, "development.yaml")
	object.Spec.Version = previousVersion
	object.Spec.Rollout = canaries(3*time.Minute, measure("error-rate", "0.02"))
	scaled(&object.Spec)
	s := apply(t, "e2e-upgrade", object)
	fmt.Printf("apply to Ready with the release before: %.1f s\n", s.waitReady(5*time.Minute).Seconds())
	guest := s.shop()
	admin := s.admin(guest)
	story(t, s, []step{
		{"the new operator restarts nothing", func(t *testing.T) { newOperator(t, s, guest, admin) }},
		{"the shop goes over to the new version", func(t *testing.T) { newVersion(t, s, guest, admin) }},
		{"the shop returns to the version before", func(t *testing.T) { oldVersion(t, s, guest, admin) }},
	})
}

// previousRelease checks out the release before this one and loads its image into the cluster.
func previousRelease(t *testing.T) string {
	t.Helper()
	commit := os.Getenv("PREVIOUS")
	if commit == "" {
		t.Fatal("PREVIOUS names no commit: run this by make e2e")
	}
	folder := filepath.Join(t.TempDir(), "previous")
	// An archive leaves nothing behind in the repository, as a work tree would.
	archive, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "archive", commit).Output()
	if err != nil {
		t.Fatalf("the history has no commit %s: %v", commit, err)
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-C", folder)
	unpack.Stdin = bytes.NewReader(archive)
	if output, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("unpack %s: %v\n%s", commit, err, output)
	}
	images := exec.CommandContext(t.Context(), "go", "run", "-buildvcs=false", "./hack/cluster", "--version", previousVersion, "images")
	images.Dir = folder
	if output, err := images.CombinedOutput(); err != nil {
		t.Fatalf("build the image of %s: %v\n%s", commit, err, output)
	}
	// The cluster keeps one archive of the platform's image: it shall be this version's again.
	inRepository(t, "go", "run", "./hack/cluster", "--version", currentVersion, "images")
	return folder
}

// newOperator installs the chart of this version over the one before.
func newOperator(t *testing.T, s *stack, guest, admin *shop.Shop) {
	before := podIDs(t, s)
	flow := startTraffic(t, guest, admin, "Old mug", 1, 1)
	if err := installOperator(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(30 * time.Second)
	s.waitReady(2 * time.Minute)
	flow.stop()
	noFailures(t, "the operator was upgraded", flow)
	flow.verify(t)
	noneReplaced(t, before, podIDs(t, s))
}

// newVersion rolls the new version out while people order.
func newVersion(t *testing.T, s *stack, guest, admin *shop.Shop) {
	flow := startTraffic(t, guest, admin, "New mug", 1, 1)
	flow.settle()
	started := time.Now()
	s.update(func(spec *v1alpha1.CommerceStackSpec) { spec.Version = currentVersion })
	s.rolledOut(12*time.Minute, v1alpha1.RolloutComplete)
	fmt.Printf("the new version serves everybody after %.1f s\n", time.Since(started).Seconds())
	s.waitReady(2 * time.Minute)
	flow.stop()
	noFailures(t, "both versions served", flow)
	flow.verify(t)
}

// oldVersion goes back: the version before serves on the new version's tables.
func oldVersion(t *testing.T, s *stack, guest, admin *shop.Shop) {
	flow := startTraffic(t, guest, admin, "Returned mug", 1, 1)
	flow.settle()
	fmt.Printf("back after %.1f s\n", s.undone(8*time.Minute, "undo-upgrade").Seconds())
	time.Sleep(5 * time.Second)
	flow.stop()
	noFailures(t, "the version before served on", flow)
	flow.verify(t)
}
