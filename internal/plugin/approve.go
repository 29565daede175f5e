package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// approvalLife is how long an approval lasts that says nothing else: a working
// day and the night before it.
const approvalLife = 24 * time.Hour

func newApprove(o options) *cobra.Command {
	var (
		revision string
		expires  time.Duration
	)
	command := newDecision(o, "approve NAME", "Agree to the revision that waits for a person",
		func(ctx context.Context, c cluster, stack v1alpha1.CommerceStack) (string, error) {
			waiting := waitingRevision(stack)
			switch {
			case expires <= 0:
				return "", errors.New("--expires must be longer than 0s")
			case waiting == "":
				return "", fmt.Errorf("%w: no revision of %s waits for an approval", errRefused, stack.Name)
			case revision != "" && revision != waiting:
				return "", fmt.Errorf("%w: revision %s waits, not %s: look at it before you agree", errRefused, waiting, revision)
			case stack.Spec.Environment == v1alpha1.EnvironmentProduction:
				return c.approve(ctx, stack, waiting, o.now().Add(expires), o.now())
			}
			err := c.merge(ctx, stack, "metadata", "annotations", map[string]string{v1alpha1.AnnotationApprove: waiting})
			return "approved revision " + waiting + " of " + stack.Name, err
		})
	command.Flags().StringVar(&revision, "revision", "", "Agree only if this revision is the one that waits")
	command.Flags().DurationVar(&expires, "expires", approvalLife, "In Production, how long the approval lasts")
	return command
}

// approve makes a ReleaseApproval under the name by which the API server knows the user.
func (c cluster) approve(ctx context.Context, stack v1alpha1.CommerceStack, revision string, expires, now time.Time) (string, error) {
	user, err := c.user(ctx)
	if err != nil {
		return "", err
	}
	switch requester := stack.Annotations[v1alpha1.AnnotationRequestedBy]; requester {
	case user:
		return "", fmt.Errorf("%w: %s asked for the change, so another person must agree to it", errRefused, user)
	case "":
		return "", fmt.Errorf("%w: nobody said who asked for the change. Whoever did runs: kubectl annotate commercestack %s -n %s --overwrite %s=$(%s)",
			errRefused, stack.Name, stack.Namespace, v1alpha1.AnnotationRequestedBy, v1alpha1.WhoAmI)
	}
	approval := v1alpha1.ReleaseApproval{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: stack.Namespace, Name: stack.Name + "-" + revision,
			// It goes with the stack: another one of that name is another one to agree to.
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "CommerceStack", Name: stack.Name, UID: stack.UID,
			}},
		},
		Spec: v1alpha1.ReleaseApprovalSpec{Stack: stack.Name, Revision: revision, By: user, ExpiresAt: &metav1.Time{Time: expires}},
	}
	done := fmt.Sprintf("approved revision %s of %s as %s until %s", revision, stack.Name, user, expires.UTC().Format(time.RFC3339))
	err = c.Create(ctx, approval.DeepCopy())
	if !apierrors.IsAlreadyExists(err) {
		return done, explainApproval(err)
	}
	// Somebody else's, or one that ends: yours counts beside it.
	var given v1alpha1.ReleaseApproval
	if err := c.Get(ctx, client.ObjectKeyFromObject(&approval), &given); err != nil {
		return "", err
	}
	if s := given.Spec; s.By == user && s.Stack == stack.Name && s.Revision == revision && (s.ExpiresAt == nil || s.ExpiresAt.After(now)) {
		return fmt.Sprintf("revision %s of %s is approved by %s already", revision, stack.Name, user), nil
	}
	approval.GenerateName, approval.Name = approval.Name+"-", ""
	return done, explainApproval(c.Create(ctx, &approval))
}

// explainApproval says what a missing kind means.
func explainApproval(err error) error {
	if meta.IsNoMatchError(err) {
		return errors.New("this cluster does not know ReleaseApprovals: upgrade the operator's chart")
	}
	return err
}

// user is the name by which the API server knows whoever runs the command.
func (c cluster) user(ctx context.Context) (string, error) {
	var review authenticationv1.SelfSubjectReview
	if err := c.Create(ctx, &review); err != nil {
		return "", fmt.Errorf("ask the API server who you are: %w", err)
	}
	return review.Status.UserInfo.Username, nil
}

// change sets one field of a spec, in Production under the user's name, which is
// asked for there.
func (c cluster) change(ctx context.Context, stack v1alpha1.CommerceStack, field string, value any) error {
	if stack.Spec.Environment != v1alpha1.EnvironmentProduction {
		return c.merge(ctx, stack, "spec", field, value)
	}
	user, err := c.user(ctx)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{v1alpha1.AnnotationRequestedBy: user}},
		"spec":     map[string]any{field: value},
	})
	if err != nil {
		return err
	}
	return c.Patch(ctx, &stack, client.RawPatch(types.MergePatchType, patch))
}
