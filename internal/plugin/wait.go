package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// defaultWait is longer than a rotation of identity keys takes with its hour between.
const defaultWait = 2 * time.Hour

// errGoesOn is a wait that ended before what was waited for.
var errGoesOn = fmt.Errorf("%w: it goes on by itself, and kubectl commerce status tells how far it is", errRefused)

// check says what became of a request; an empty answer goes on.
type check func(context.Context, v1alpha1.CommerceStack) (string, error)

// patience is whether a command waits for what it asked for, and how long.
type patience struct {
	wait    bool
	timeout time.Duration
}

func (p *patience) addFlags(command *cobra.Command) *cobra.Command {
	command.Flags().BoolVar(&p.wait, "wait", false, "Wait until it is done; fail when it fails")
	command.Flags().DurationVar(&p.timeout, "timeout", defaultWait, "How long to wait")
	return command
}

// await prints what was asked for and, if that is wanted, waits until done says what
// became of it. An error of done ends the wait; an empty answer goes on.
func (p *patience) await(
	ctx context.Context, o options, c cluster, stack v1alpha1.CommerceStack, asked string, done check,
) (string, error) {
	if !p.wait {
		return asked, nil
	}
	fmt.Fprintln(o.streams.Out, asked)
	var said string
	err := wait.PollUntilContextTimeout(ctx, o.poll, p.timeout, true, func(ctx context.Context) (bool, error) {
		now := v1alpha1.CommerceStack{}
		err := c.Get(ctx, client.ObjectKeyFromObject(&stack), &now)
		switch {
		case apierrors.IsNotFound(err):
			return false, fmt.Errorf("%w: %s is gone", errRefused, stack.Name)
		case err != nil:
			return false, nil //nolint:nilerr // the API server may be away for a while
		}
		said, err = done(ctx, now)
		return said != "", err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return "", fmt.Errorf("%w (after %s)", errGoesOn, p.timeout)
	}
	return said, err
}

// rotated waits for another version than the one that was.
func rotated(before v1alpha1.SecretStatus) check {
	return func(_ context.Context, stack v1alpha1.CommerceStack) (string, error) {
		switch now := stack.Status.Secret(before.Name); {
		case now.State == "Failed" && now.LastError != before.LastError:
			return "", fmt.Errorf("%w: %s: %s", errRefused, before.Name, now.LastError)
		case now.State == "Current" && now.ActiveID != before.ActiveID:
			return fmt.Sprintf("%s is %s now", before.Name, now.ActiveID), nil
		}
		return "", nil
	}
}

// backedUp waits for a backup newer than the one that was, or for the end of the Job.
func (c cluster) backedUp(before *v1alpha1.BackupStatus, job string) check {
	return func(ctx context.Context, stack v1alpha1.CommerceStack) (string, error) {
		if now := stack.Status.Backup; now != nil && now.LastSuccess != nil && (before == nil || !now.LastSuccess.Equal(before.LastSuccess)) {
			return fmt.Sprintf("backup %s is there", now.LastID), nil
		}
		return "", c.failure(ctx, stack.Namespace, job)
	}
}

// drilled waits for a drill later than the one that was, or for the end of the Job.
func (c cluster) drilled(before *v1alpha1.BackupStatus, job string) check {
	return func(ctx context.Context, stack v1alpha1.CommerceStack) (string, error) {
		now := stack.Status.Backup
		if now != nil && now.LastDrill != nil && now.RPO != nil && now.RTO != nil && (before == nil || !now.LastDrill.Equal(before.LastDrill)) {
			return fmt.Sprintf("restored, examined and dropped: RPO %s, RTO %s", now.RPO.Duration, now.RTO.Duration), nil
		}
		return "", c.failure(ctx, stack.Namespace, job)
	}
}

// failure is why a Job failed, nil while it may still succeed.
func (c cluster) failure(ctx context.Context, namespace, name string) error {
	job := &batchv1.Job{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, job); err != nil {
		return nil //nolint:nilerr // a Job that is done is soon taken away, and the status tells
	}
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobFailed && condition.Status == corev1.ConditionTrue {
			return fmt.Errorf("%w: Job %s failed: %s; see kubectl logs -n %s job/%s --all-containers", errRefused, name, condition.Message, namespace, name)
		}
	}
	return nil
}

// ended waits for the end of a rollout that has another start than the one that was.
func ended(before *v1alpha1.RolloutStatus) check {
	return func(_ context.Context, stack v1alpha1.CommerceStack) (string, error) {
		now := stack.Status.Rollout
		if now == nil || before != nil && before.Phase == now.Phase && before.Revision == now.Revision && before.StartedAt.Equal(now.StartedAt) {
			return "", nil
		}
		switch now.Phase {
		case v1alpha1.RolloutComplete:
			return "revision " + stack.Status.CurrentRevision + " serves", nil
		case v1alpha1.RolloutFailed, v1alpha1.RolloutRolledBack:
			return "", fmt.Errorf("%w: %s: %s", errRefused, now.Phase, now.Message)
		}
		return "", nil
	}
}
