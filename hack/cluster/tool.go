package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// toolPath is where a program of hack/tools is, built when it is missing. What the
// build prints is passed on: the first one takes minutes.
func toolPath(ctx context.Context, name string) (string, error) {
	command := exec.CommandContext(ctx, "hack/tool", "--path", name)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("build %s (run from the repository's top folder): %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}
