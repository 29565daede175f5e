package plugin

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// requestID makes each request one of its own.
func requestID() string {
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails: the process ends instead
	return hex.EncodeToString(id[:])
}

// decision writes what a person decided about a stack and says what happens next.
type decision func(ctx context.Context, c cluster, stack v1alpha1.CommerceStack) (string, error)

// newDecision is a command about one stack.
func newDecision(o options, use, short string, decide decision) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.connect()
			if err != nil {
				return err
			}
			stack, err := c.stack(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			said, err := decide(cmd.Context(), c, stack)
			if err == nil {
				fmt.Fprintln(o.streams.Out, said)
			}
			return err
		},
	}
}

func newPause(o options) *cobra.Command {
	var rollout bool
	command := newDecision(o, "pause NAME", "Let the operator change nothing; with --rollout, let the running rollout wait",
		func(ctx context.Context, c cluster, stack v1alpha1.CommerceStack) (string, error) {
			if rollout {
				return o.steer(ctx, c, stack, v1alpha1.RolloutPause, "")
			}
			// Resuming could not know that the stack was only observed, and would begin to manage it.
			if stack.Spec.ReconcilePolicy == v1alpha1.ReconcileObserve {
				return "", fmt.Errorf("%w: %s is only observed, the operator changes nothing already", errRefused, stack.Name)
			}
			err := c.change(ctx, stack, "reconcilePolicy", string(v1alpha1.ReconcilePaused))
			return stack.Name + " is paused: pods keep serving, nothing is repaired. Go on with: kubectl commerce resume " + stack.Name, err
		})
	command.Flags().BoolVar(&rollout, "rollout", false, "Pause the running rollout only")
	return command
}

func newResume(o options) *cobra.Command {
	var rollout bool
	command := newDecision(o, "resume NAME", "Let the operator, or with --rollout the rollout, go on; a failed revision is tried again",
		func(ctx context.Context, c cluster, stack v1alpha1.CommerceStack) (string, error) {
			if rollout {
				return o.steer(ctx, c, stack, v1alpha1.RolloutResume, "")
			}
			if stack.Spec.ReconcilePolicy != v1alpha1.ReconcilePaused {
				return "", fmt.Errorf("%w: %s is %s, not Paused", errRefused, stack.Name, stack.Spec.ReconcilePolicy)
			}
			return stack.Name + " is managed again", c.change(ctx, stack, "reconcilePolicy", string(v1alpha1.ReconcileManaged))
		})
	command.Flags().BoolVar(&rollout, "rollout", false, "Resume the paused rollout only")
	return command
}

func newAbort(o options) *cobra.Command {
	return newDecision(o, "abort NAME", "Stop the running rollout and go back to the revision that served before",
		func(ctx context.Context, c cluster, stack v1alpha1.CommerceStack) (string, error) {
			return o.steer(ctx, c, stack, v1alpha1.RolloutAbort, "")
		})
}

func newPromote(o options) *cobra.Command {
	return newDecision(o, "promote NAME", "Skip what is left of the canary: steps, pauses and measurements, not the approval",
		func(ctx context.Context, c cluster, stack v1alpha1.CommerceStack) (string, error) {
			return o.steer(ctx, c, stack, v1alpha1.RolloutPromote, "")
		})
}

func newUndo(o options) *cobra.Command {
	var to string
	p := &patience{}
	command := p.addFlags(newDecision(o, "undo NAME", "Return to the revision before, or to one of the history; schemas stay as they are",
		func(ctx context.Context, c cluster, stack v1alpha1.CommerceStack) (string, error) {
			asked, err := o.steer(ctx, c, stack, v1alpha1.RolloutUndo, to)
			if err != nil {
				return "", err
			}
			return p.await(ctx, o, c, stack, asked, ended(stack.Status.Rollout))
		}))
	command.Aliases = []string{"rollback"}
	command.Flags().StringVar(&to, "to", "", "Revision to return to; the one before when empty")
	return command
}

// steer writes a request about the rollout that is running, or for undo about
// the revision to return to.
func (o options) steer(ctx context.Context, c cluster, stack v1alpha1.CommerceStack, verb v1alpha1.RolloutVerb, revision string) (string, error) {
	running := stack.Status.Rollout
	switch failed := running != nil && slices.Contains([]string{v1alpha1.RolloutFailed, v1alpha1.RolloutRolledBack}, running.Phase); {
	case verb == v1alpha1.RolloutUndo:
	case verb == v1alpha1.RolloutResume && failed && stack.Status.LastFailedRevision != "":
		// The failed revision is tried again without a change of the spec.
		revision = stack.Status.LastFailedRevision
	default:
		if !running.Running() {
			return "", fmt.Errorf("%w: no rollout of %s is running", errRefused, stack.Name)
		}
		revision = running.Revision
	}
	request := v1alpha1.RolloutRequest{Verb: verb, Revision: revision, ID: o.newID()}
	err := c.merge(ctx, stack, "metadata", "annotations", map[string]string{v1alpha1.AnnotationRollout: request.String()})
	return fmt.Sprintf("asked the operator to %s revision %s of %s", verb, cmp.Or(revision, "before this one"), stack.Name), err
}

func newRotate(o options) *cobra.Command {
	p := &patience{}
	command := p.addFlags(&cobra.Command{
		Use: "rotate NAME SECRET", Short: "Replace one secret now, as on schedule: nobody is logged out, no connection is refused",
		Example: "  kubectl commerce rotate shop postgres-order --wait",
		Args:    cobra.ExactArgs(2),
	})
	command.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := o.connect()
		if err != nil {
			return err
		}
		stack, err := c.stack(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		names := make([]string, len(stack.Status.Secrets))
		for i, s := range stack.Status.Secrets {
			names[i] = s.Name
		}
		if !slices.Contains(names, args[1]) {
			return fmt.Errorf("%w: %s has no secret %q, only %v", errRefused, stack.Name, args[1], names)
		}
		request := v1alpha1.RotationRequest{Secret: args[1], ID: o.newID()}
		if err := c.merge(cmd.Context(), stack, "metadata", "annotations", map[string]string{v1alpha1.AnnotationRotate: request.String()}); err != nil {
			return err
		}
		asked := fmt.Sprintf("asked the operator to rotate %s of %s; follow it with: kubectl commerce status %s", args[1], stack.Name, stack.Name)
		said, err := p.await(cmd.Context(), o, c, stack, asked, rotated(stack.Status.Secret(args[1])))
		if err == nil {
			fmt.Fprintln(o.streams.Out, said)
		}
		return err
	}
	return command
}

// waitingRevision is the revision that an approval would be about.
func waitingRevision(stack v1alpha1.CommerceStack) string {
	if r := stack.Status.Rollout; r != nil && r.Phase == v1alpha1.RolloutAwaitingApproval {
		return r.Revision
	}
	return ""
}

// merge sets one field of a stack and leaves every other to its owner.
func (c cluster) merge(ctx context.Context, stack v1alpha1.CommerceStack, part, field string, value any) error {
	patch, err := json.Marshal(map[string]any{part: map[string]any{field: value}})
	if err != nil {
		return err
	}
	return c.Patch(ctx, &stack, client.RawPatch(types.MergePatchType, patch))
}
