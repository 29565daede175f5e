// Package plugin is kubectl commerce: it reads a CommerceStack and everything
// the operator made of it, says why it is not ready, and writes what the
// operator reads as a person's decision. It needs no more rights than its user
// has, and goes on without what the user may not read.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// The exit codes of every command.
const (
	// ExitOK is a ready stack, or a request that was written.
	ExitOK = 0
	// ExitNotReady is a stack that is not ready, or a request that the stack's state refuses.
	ExitNotReady = 1
	// ExitUnreadable is a stack that could not be read or written, or a wrong command line.
	ExitUnreadable = 2
)

var (
	// errNotReady ends a command whose output said why.
	errNotReady = errors.New("not ready")
	// errRefused is a request that makes no sense in the stack's state.
	errRefused = errors.New("refused")
)

// options are what every command has.
type options struct {
	flags   *genericclioptions.ConfigFlags
	streams genericiooptions.IOStreams
	now     func() time.Time
	newID   func() string
	// poll is how often a command that waits looks.
	poll time.Duration
}

// Main runs a command line and returns its exit code.
func Main(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	return run(ctx, args, options{flags: genericclioptions.NewConfigFlags(true), streams: streams, now: time.Now, newID: requestID, poll: time.Second})
}

func run(ctx context.Context, args []string, o options) int {
	root := newRoot(o)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, errNotReady):
		return ExitNotReady
	case errors.Is(err, errRefused):
		fmt.Fprintln(o.streams.ErrOut, "kubectl commerce:", err)
		return ExitNotReady
	default:
		fmt.Fprintln(o.streams.ErrOut, "kubectl commerce:", err)
		return ExitUnreadable
	}
}

func newRoot(o options) *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-commerce",
		Short: "Look at and steer shops that the CommerceStack operator runs",
		Long: "Look at and steer shops that the CommerceStack operator runs.\n\n" +
			"Exit code: 0 ready or done, 1 not ready or refused, 2 unreadable or a wrong command line.",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl commerce"},
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(o.streams.In)
	root.SetOut(o.streams.Out)
	root.SetErr(o.streams.ErrOut)
	o.flags.AddFlags(root.PersistentFlags())
	root.AddCommand(
		newStatus(o), newOpen(o), newPause(o), newResume(o), newApprove(o), newRotate(o),
		newAbort(o), newPromote(o), newUndo(o), newBackup(o), newDrill(o), newBackupKey(o),
	)
	return root
}
