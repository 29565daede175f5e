package releaseapproval_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/releaseapproval"
)

const day = 24 * time.Hour

func TestDeleteAt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	stack := func(phase, revision string) *v1alpha1.CommerceStack {
		return &v1alpha1.CommerceStack{Status: v1alpha1.CommerceStackStatus{Rollout: &v1alpha1.RolloutStatus{Phase: phase, Revision: revision}}}
	}
	for name, c := range map[string]struct {
		made, expires time.Duration // from now; an expiry of zero is none
		stack         *v1alpha1.CommerceStack
		want          time.Duration
	}{
		"it counts":                              {-day, day, stack("AwaitingApproval", "abcd"), 31 * day},
		"it expired":                             {-day, -time.Hour, stack("Complete", "abcd"), 30*day - time.Hour},
		"it expired long ago":                    {-40 * day, -31 * day, stack("Complete", "abcd"), -day},
		"it expired, and one is waited for":      {-40 * day, -31 * day, stack("AwaitingApproval", "abcd"), -day},
		"without an end, new":                    {-day, 0, stack("Complete", "abcd"), 29 * day},
		"without an end, old and done":           {-31 * day, 0, stack("Complete", "abcd"), -day},
		"without an end, of one taken back":      {-31 * day, 0, stack("RolledBack", "abcd"), -day},
		"without an end, of one that failed":     {-31 * day, 0, stack("Failed", "abcd"), -day},
		"without an end, its rollout goes on":    {-31 * day, 0, stack("Paused", "abcd"), day},
		"without an end, of the last moment":     {-30 * day, 0, stack("Progressing", "abcd"), day},
		"without an end, another rollout":        {-31 * day, 0, stack("Progressing", "ef01"), -day},
		"without an end, before any rollout":     {-31 * day, 0, &v1alpha1.CommerceStack{}, -day},
		"without an end, the stack is gone":      {-31 * day, 0, nil, -day},
		"the stack is gone, which is not enough": {-day, day, nil, 31 * day},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			approval := &v1alpha1.ReleaseApproval{
				ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(c.made))}, Spec: v1alpha1.ReleaseApprovalSpec{Stack: "shop", Revision: "abcd"},
			}
			if c.expires != 0 {
				approval.Spec.ExpiresAt = &metav1.Time{Time: now.Add(c.expires)}
			}
			if got := releaseapproval.DeleteAt(approval, c.stack, now).Sub(now); got != c.want {
				t.Errorf("it goes in %s, want %s", got, c.want)
			}
		})
	}
}
