package plugin

import (
	"errors"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// TestWhatIsWaitedFor is about the end of what was asked for, and not of what was before.
func TestWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	failed := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "failed"}, Status: batchv1.JobStatus{
		Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Message: "no room"}},
	}}
	running := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "running"}}
	c := cluster{Client: fake.NewClientBuilder().WithObjects(failed, running).Build()}
	minute := &metav1.Duration{Duration: time.Minute}
	yesterday := &v1alpha1.BackupStatus{LastSuccess: beforePtr(24 * time.Hour), LastDrill: beforePtr(24 * time.Hour), RPO: minute, RTO: minute}
	today := &v1alpha1.BackupStatus{LastSuccess: beforePtr(0), LastID: "x1", LastDrill: beforePtr(0), RPO: minute, RTO: minute}
	serving := &v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutComplete, Revision: "2", StartedAt: beforePtr(time.Hour)}
	rollout := func(phase string) v1alpha1.CommerceStackStatus {
		return v1alpha1.CommerceStackStatus{CurrentRevision: "1", Rollout: &v1alpha1.RolloutStatus{Phase: phase, Revision: "1", StartedAt: beforePtr(0), Message: "it crashes"}}
	}
	tests := map[string]struct {
		done check
		now  v1alpha1.CommerceStackStatus
		want string // of the answer or the error; empty goes on
		fail bool
	}{
		"no backup yet":            {c.backedUp(nil, "running"), v1alpha1.CommerceStackStatus{}, "", false},
		"the backup before":        {c.backedUp(yesterday, "running"), v1alpha1.CommerceStackStatus{Backup: yesterday}, "", false},
		"a new backup":             {c.backedUp(yesterday, "gone"), v1alpha1.CommerceStackStatus{Backup: today}, "backup x1", false},
		"a backup that failed":     {c.backedUp(yesterday, "failed"), v1alpha1.CommerceStackStatus{Backup: yesterday}, "no room", true},
		"the drill before":         {c.drilled(yesterday, "running"), v1alpha1.CommerceStackStatus{Backup: yesterday}, "", false},
		"a new drill":              {c.drilled(nil, "running"), v1alpha1.CommerceStackStatus{Backup: today}, "RPO 1m0s", false},
		"a drill that failed":      {c.drilled(nil, "failed"), v1alpha1.CommerceStackStatus{}, "no room", true},
		"the rollout before":       {ended(serving), v1alpha1.CommerceStackStatus{Rollout: serving}, "", false},
		"no rollout":               {ended(nil), v1alpha1.CommerceStackStatus{}, "", false},
		"a rollout on its way":     {ended(serving), rollout(v1alpha1.RolloutProgressing), "", false},
		"a rollout that is done":   {ended(serving), rollout(v1alpha1.RolloutComplete), "revision 1 serves", false},
		"a rollout that went back": {ended(serving), rollout(v1alpha1.RolloutRolledBack), "it crashes", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said, err := tt.done(t.Context(), v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: "n"}, Status: tt.now})
			if err != nil {
				said = err.Error()
			}
			if errors.Is(err, errRefused) != tt.fail || !strings.Contains(said, tt.want) || (tt.want == "") != (said == "") {
				t.Errorf("%q, %v", said, err)
			}
		})
	}
}
