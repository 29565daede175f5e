package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReadmeSession pastes the README's shell session into bash, against the shop in one process.
func TestReadmeSession(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```sh\n")
	session, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the README has no shell session")
	}
	const address = "http://127.0.0.1:8080"
	if !strings.Contains(session, address) {
		t.Fatalf("the session does not name %s", address)
	}
	for _, p := range platforms {
		if p.shape != "one process" {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		bash := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail")
		bash.Dir = t.TempDir()
		bash.Stdin = strings.NewReader(strings.ReplaceAll(session, address, p.guest.URL))
		out, err := bash.CombinedOutput()
		if err != nil {
			t.Fatalf("the session fails: %v\n%s", err, out)
		}
		for _, want := range []string{`"status":"SUCCEEDED"`, `"type":"CONFIRMED"`, "%PDF-"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("the session does not print %s:\n%s", want, out)
			}
		}
		if _, err := os.Stat(filepath.Join(bash.Dir, "invoice.pdf")); err != nil {
			t.Error(err)
		}
	}
}
