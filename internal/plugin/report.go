package plugin

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// report is one stack for people and programs.
type report struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Ready is the condition of that name, True and about the newest spec.
	Ready bool   `json:"ready"`
	Why   string `json:"why,omitempty"`
	Tree  node   `json:"tree"`
}

// reporter turns a snapshot into a report. It is a pure function of both.
type reporter struct {
	snapshot

	now time.Time
}

func newReport(s snapshot, now time.Time) report {
	r := reporter{snapshot: s, now: now}
	ready, why := r.ready()
	root := node{Kind: "CommerceStack", Name: s.stack.Namespace + "/" + s.stack.Name, Text: r.headline(why)}
	root = root.with(r.conditions(), r.data(), r.migration(), r.components(), r.secrets(), r.certs(), r.rollout())
	if backup, wanted := r.backup(); wanted {
		root = root.with(backup)
	}
	if len(s.stack.Status.Pending) > 0 {
		pending := node{Kind: "pending", State: stateInfo, Text: "what the operator would change if it were not " + strings.ToLower(string(s.stack.Spec.ReconcilePolicy))}
		for _, object := range s.stack.Status.Pending {
			pending = pending.with(node{Kind: object, State: stateInfo})
		}
		root = root.with(pending)
	}
	if len(s.hidden) > 0 {
		root = root.with(node{Kind: "hidden", State: stateInfo, Text: "you may not read " + strings.Join(s.hidden, ", ") + " here, so they look missing"})
	}
	// The operator judges the stack; parts that it does not count are told apart.
	switch {
	case ready:
		root.State = stateOK
	case root.State != stateBad:
		root.State = stateBusy
	}
	return report{Namespace: s.stack.Namespace, Name: s.stack.Name, Ready: ready, Why: why, Tree: root}
}

// ready tells whether the stack serves what its spec says, and why not.
func (r reporter) ready() (bool, string) {
	status := r.stack.Status
	condition := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	switch {
	case condition == nil:
		return false, "the operator has not seen this stack: is it running?"
	case status.ObservedGeneration < r.stack.Generation:
		return false, "the newest spec is not observed yet"
	case condition.Status == metav1.ConditionTrue:
		return true, ""
	default:
		return false, sentence(condition.Reason, condition.Message)
	}
}

func (r reporter) headline(why string) string {
	stack := r.stack
	texts := []string{stack.Spec.Version}
	if running := stack.Status.Version; running != "" && running != stack.Spec.Version {
		texts = []string{"from " + running + " to " + stack.Spec.Version}
	}
	texts = append(texts, string(stack.Spec.Environment))
	if stack.DeletionTimestamp != nil {
		texts = append(texts, "being deleted")
	}
	if why == "" {
		texts = append(texts, "ready")
		if stack.Status.URL != "" {
			texts = append(texts, stack.Status.URL)
		}
	} else {
		texts = append(texts, "not ready: "+why)
	}
	return strings.Join(texts, ", ")
}

// conditions lists all conditions in their order; those of a quiet stack fold.
func (r reporter) conditions() node {
	group := node{Kind: "conditions", State: stateOK, folded: true}
	if len(r.stack.Status.Conditions) == 0 {
		group.State, group.Text = stateBusy, "none set yet"
		return group
	}
	bad := 0
	for _, kind := range v1alpha1.ConditionTypes {
		c := meta.FindStatusCondition(r.stack.Status.Conditions, kind)
		if c == nil {
			group = group.with(node{Kind: kind, State: stateInfo, Text: "not set"})
			continue
		}
		n := node{Kind: kind, State: judge(*c), Text: sentence(string(c.Status)+" for "+age(c.LastTransitionTime.Time, r.now), c.Reason, c.Message)}
		if n.State == stateBad || n.State == stateBusy {
			bad++
		}
		group = group.with(n)
	}
	group.Text = "as they should be"
	if bad > 0 {
		group.Text = fmt.Sprintf("%d of %d ask for attention", bad, len(v1alpha1.ConditionTypes))
	}
	return group
}

// judge is what a condition means: some are good when True, some when False,
// and a few are a person's wish.
func judge(c metav1.Condition) state {
	positive := true
	wrong := stateBad
	switch c.Type {
	case v1alpha1.ConditionStalled:
		positive = false
	case v1alpha1.ConditionReconciling, v1alpha1.ConditionPaused, v1alpha1.ConditionRollingOut, v1alpha1.ConditionAwaitingApproval:
		positive, wrong = false, stateBusy
	}
	switch c.Status {
	case metav1.ConditionTrue, metav1.ConditionFalse:
		if (c.Status == metav1.ConditionTrue) == positive {
			return stateOK
		}
		return wrong
	default:
		return stateInfo
	}
}
