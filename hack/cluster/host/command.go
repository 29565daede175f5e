// Package host prepares the machine for the cluster's node and puts it back as it
// was: the network namespace and the link into it, control groups, mounts, and
// the kernel settings that a kubelet changes.
package host

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Run runs a short command and turns its output into the error.
func Run(ctx context.Context, args ...string) error {
	_, err := Output(ctx, "", args...)
	return err
}

// Output runs a short command with standard input and returns what it printed.
func Output(ctx context.Context, input string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Stdin = strings.NewReader(input)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
