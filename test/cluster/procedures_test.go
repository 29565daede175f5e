//go:build cluster

package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pageWithin is how long the commands of a page may take.
const pageWithin = 15 * time.Minute

// shellBlock is a block of commands that a reader pastes.
var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestProcedures runs the pages of docs/procedures as they stand, in their order.
func TestProcedures(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs/procedures/[0-9]*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages (%v)", err)
	}
	slices.Sort(pages)
	tools := tools(t, root)
	// Relative paths of the pages begin at the repository's top folder; what they write stays out of it.
	desk := t.TempDir()
	for _, name := range []string{"config", "charts", "docs"} {
		if err := os.Symlink(filepath.Join(root, name), filepath.Join(desk, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if !*keep {
			_ = kube.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})
		}
	})
	s := &stack{t: t, namespace: "shop", name: "shop"}
	for _, page := range pages {
		ok := t.Run(filepath.Base(page), func(t *testing.T) {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			var script bytes.Buffer
			for _, block := range shellBlock.FindAllSubmatch(text, -1) {
				script.Write(block[1])
			}
			if script.Len() == 0 {
				t.Fatal("the page has no commands")
			}
			ctx, cancel := context.WithTimeout(t.Context(), pageWithin)
			defer cancel()
			// A reader stops at the first command that fails.
			command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script.String())
			command.Dir = desk
			command.Env = append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"))
			command.WaitDelay = 10 * time.Second
			started := time.Now()
			out, err := command.CombinedOutput()
			fmt.Printf("%s: %.1f s\n", filepath.Base(page), time.Since(started).Seconds())
			t.Logf("%s", out)
			if err != nil {
				s.dump()
				t.Fatal(err)
			}
		})
		if !ok {
			return
		}
	}
	err = kube.Get(t.Context(), client.ObjectKey{Name: "shop"}, &corev1.Namespace{})
	if client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the namespace is still there (%v)", err)
	}
}

// tools is a folder with the programs that the pages use, beside the system's.
func tools(t *testing.T, root string) string {
	t.Helper()
	folder := t.TempDir()
	kubectl, err := exec.LookPath(program("KUBECTL", "kubectl"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(kubectl, filepath.Join(folder, "kubectl")); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", folder, "./cmd/kubectl-commerce")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return folder
}
