package plugin

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// data is PostgreSQL and Redis.
func (r reporter) data() node {
	return node{Kind: "data", State: stateOK}.with(
		r.store("PostgreSQL", "postgres", r.stack.Status.PostgresMode, v1alpha1.ConditionPostgresReady),
		r.store("Redis", "redis", r.stack.Spec.Redis.Mode, v1alpha1.ConditionRedisReady),
	)
}

// store is one data store: what the operator says of it, and its pods where
// the operator runs them.
func (r reporter) store(kind, component string, mode v1alpha1.DataMode, condition string) node {
	n := node{Kind: kind, State: stateBusy, Text: string(mode)}
	if c := meta.FindStatusCondition(r.stack.Status.Conditions, condition); c != nil {
		switch c.Status {
		case "True":
			n.State = stateOK
		case "False":
			n.State, n.Text = stateBad, sentence(n.Text, c.Reason, c.Message)
		default:
			n.Text = sentence(n.Text, c.Reason, c.Message)
		}
	}
	for _, set := range r.statefulSets {
		if set.Labels[v1alpha1.LabelComponent] == component {
			n = n.with(r.statefulSet(set))
		}
	}
	return n
}

func (r reporter) statefulSet(set appsv1.StatefulSet) node {
	want := replicas(set.Spec.Replicas)
	n := node{
		Kind: "StatefulSet", Name: set.Name, State: stateOK, folded: true,
		Text: fmt.Sprintf("%d of %d ready, %s", set.Status.ReadyReplicas, want, images(set.Spec.Template)),
	}
	if set.Status.ReadyReplicas < want || set.Status.ObservedGeneration < set.Generation {
		n.State = stateBusy
	}
	if event, found := r.warning("StatefulSet", set.Name, "FailedCreate"); found && n.State != stateOK {
		n.State, n.Text = stateBad, sentence(n.Text, event.Message)
	}
	return n.with(r.pods(set.Labels[v1alpha1.LabelComponent], "")...)
}

// migration is the newest run and, when it failed, what its Job's pods said.
func (r reporter) migration() node {
	n := node{Kind: "migration", State: stateInfo, Text: "none yet"}
	m := r.stack.Status.Migration
	if m == nil {
		if r.stack.Spec.Migrations.Mode == v1alpha1.MigrationsSkip {
			n.Text = "skipped by the spec"
		}
		return r.withJobs(n, "")
	}
	n.Name, n.Text = m.ID, m.State
	if at, ok := moment(m.FinishedAt); ok {
		n.Text += " " + ago(at, r.now)
	}
	switch m.State {
	case v1alpha1.MigrationSucceeded:
		n.State = stateOK
		return n
	case v1alpha1.MigrationFailed:
		n.State, n.Text = stateBad, sentence(n.Text, m.Message)
	default:
		n.State, n.Text = stateBusy, sentence(n.Text, m.Message)
	}
	return r.withJobs(n, m.ID)
}

// withJobs adds the migration Jobs that have not succeeded; those of other
// migrations are history.
func (r reporter) withJobs(n node, id string) node {
	for _, job := range r.jobs {
		name := r.stack.Name + "-migrate-"
		if len(job.Name) <= len(name) || job.Name[:len(name)] != name || (id != "" && job.Name != name+id) || job.Status.Succeeded > 0 {
			continue
		}
		n = n.with(r.job(job))
	}
	return n
}

func (r reporter) job(job batchv1.Job) node {
	n := node{Kind: "Job", Name: job.Name, State: stateBusy, Text: fmt.Sprintf("%d active, %d failed", job.Status.Active, job.Status.Failed)}
	for _, c := range job.Status.Conditions {
		if c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
			n.State, n.Text = stateBad, sentence(n.Text+", "+c.Reason, c.Message)
		}
	}
	for _, pod := range r.snapshot.pods {
		if ownedByJob(pod) && pod.Labels[batchv1.JobNameLabel] == job.Name {
			part := r.pod(pod)
			if pod.Status.Phase == corev1.PodRunning && part.State != stateBad {
				part.State, part.Text = stateBusy, "running"
			}
			n = n.with(part)
		}
	}
	return n
}
