package plugin

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// pod is a pod and, when it is not ready, why.
func (r reporter) pod(pod corev1.Pod) node {
	n := node{Kind: "Pod", Name: pod.Name}
	switch {
	case pod.DeletionTimestamp != nil:
		n.State, n.Text = stateInfo, "terminating"
	case pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded:
		n.State, n.Text = stateBad, sentence(string(pod.Status.Phase), pod.Status.Reason, pod.Status.Message, r.containers(pod))
	case podReady(pod):
		n.State, n.Text = stateOK, "ready"
		if restarts := r.restarts(pod); restarts != "" {
			n.Text += ", " + restarts
		}
	default:
		n.State, n.Text = r.unready(pod)
	}
	return n
}

// unready says why a pod that should be ready is not.
func (r reporter) unready(pod corev1.Pod) (state, string) {
	if scheduled, found := podCondition(pod, corev1.PodScheduled); found && scheduled.Status != corev1.ConditionTrue {
		text := scheduled.Message
		if event, ok := r.warning("Pod", pod.Name, "FailedScheduling"); ok {
			text = event.Message
		}
		return stateBad, sentence("not scheduled", text)
	}
	if text := r.containers(pod); text != "" {
		return stateBad, text
	}
	if restarts := r.restarts(pod); restarts != "" {
		return stateBad, sentence("not ready", restarts, r.podWarning(pod))
	}
	if warning := r.podWarning(pod); warning != "" {
		return stateBad, sentence("not ready", warning)
	}
	return stateBusy, "starting"
}

// containers says what holds or ended the containers of a pod.
func (r reporter) containers(pod corev1.Pod) string {
	var reasons []string
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		var words []string
		if waiting := c.State.Waiting; waiting != nil && waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing" {
			words = append(words, sentence(waiting.Reason, waiting.Message))
		}
		if ended := c.State.Terminated; ended != nil && ended.ExitCode != 0 {
			words = append(words, r.termination(*ended))
		}
		if last := c.LastTerminationState.Terminated; last != nil && !c.Ready {
			words = append(words, fmt.Sprintf("last %s, %s", r.termination(*last), times(c.RestartCount)))
		}
		if len(words) > 0 {
			reasons = append(reasons, c.Name+" "+strings.Join(words, "; "))
		}
	}
	if len(reasons) == 0 {
		return ""
	}
	text := strings.Join(reasons, "; ")
	if warning := r.podWarning(pod); warning != "" && !strings.Contains(text, warning) {
		text += "; " + warning
	}
	return text
}

// podWarning is the newest warning that says more than the container's state does.
func (r reporter) podWarning(pod corev1.Pod) string {
	event, found := r.warning("Pod", pod.Name, "Unhealthy", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "Evicted")
	if !found {
		return ""
	}
	return sentence(event.Reason, event.Message)
}

func (r reporter) termination(t corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("ended with code %d", t.ExitCode)
	if t.Reason != "" && t.Reason != "Error" {
		text += " (" + t.Reason + ")"
	}
	if !t.FinishedAt.IsZero() {
		text += " " + ago(t.FinishedAt.Time, r.now)
	}
	return sentence(text, lastLine(t.Message))
}

// restarts tells how often and why last the containers of a pod were restarted.
func (r reporter) restarts(pod corev1.Pod) string {
	var parts []string
	for _, c := range pod.Status.ContainerStatuses {
		if c.RestartCount == 0 {
			continue
		}
		text := c.Name + " " + times(c.RestartCount)
		if last := c.LastTerminationState.Terminated; last != nil {
			text += ", last " + r.termination(*last)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func times(restarts int32) string {
	if restarts == 1 {
		return "restarted once"
	}
	return fmt.Sprintf("restarted %d times", restarts)
}

func podReady(pod corev1.Pod) bool {
	ready, found := podCondition(pod, corev1.PodReady)
	return found && ready.Status == corev1.ConditionTrue
}

func podCondition(pod corev1.Pod, kind corev1.PodConditionType) (corev1.PodCondition, bool) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == kind {
			return condition, true
		}
	}
	return corev1.PodCondition{}, false
}

// sentence joins the parts that say something.
func sentence(parts ...string) string {
	var said []string
	for _, part := range parts {
		if part = strings.TrimSpace(part); part != "" {
			said = append(said, part)
		}
	}
	return strings.Join(said, ": ")
}

// lastLine is the end of a message: programs say last why they stop.
func lastLine(message string) string {
	message = strings.TrimSpace(message)
	return message[strings.LastIndexByte(message, '\n')+1:]
}
