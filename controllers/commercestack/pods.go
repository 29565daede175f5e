package commercestack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// podTrouble says why pods of a part are not ready: what the first of them waits
// for. It reads the cache.
func (v *visit) podTrouble(ctx context.Context, part, role string) (reason, message string, err error) {
	labels := v.instance()
	labels[desired.LabelComponent] = part
	if role != "" {
		labels[desired.LabelRole] = role
	}
	pods := &corev1.PodList{}
	if err := v.Client.List(ctx, pods, client.InNamespace(v.stack.Namespace), labels); err != nil {
		return "", "", fmt.Errorf("list pods of %s: %w", part, err)
	}
	for i := range pods.Items {
		if reason, message := trouble(&pods.Items[i]); reason != "" {
			return reason, fmt.Sprintf("pod %s: %s", pods.Items[i].Name, message), nil
		}
	}
	return "", "", nil
}

// trouble is what keeps a pod from being ready, in the words of Kubernetes.
func trouble(pod *corev1.Pod) (reason, message string) {
	if pod.DeletionTimestamp != nil {
		return "", ""
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if waiting := status.State.Waiting; waiting != nil && waiting.Reason != "PodInitializing" && waiting.Reason != "ContainerCreating" {
			text := waiting.Reason
			if last := status.LastTerminationState.Terminated; last != nil {
				text += ": " + lastWords(last)
			} else if waiting.Message != "" {
				text += ": " + firstLine(waiting.Message)
			}
			return waiting.Reason, text
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Reason, firstLine(condition.Message)
		}
	}
	return "", ""
}

// lastWords is what a container said when it ended.
func lastWords(end *corev1.ContainerStateTerminated) string {
	if text := strings.TrimSpace(end.Message); text != "" {
		lines := strings.Split(text, "\n")
		return firstLine(lines[len(lines)-1])
	}
	return fmt.Sprintf("%s, exit code %d", end.Reason, end.ExitCode)
}

// mountedSecret is the name of the Secret that pods of a component read, empty without one.
func mountedSecret(pod *corev1.PodSpec) string {
	for i := range pod.Volumes {
		if volume := &pod.Volumes[i]; volume.Name == "secrets" && volume.Secret != nil {
			return volume.Secret.SecretName
		}
	}
	return ""
}

// maxLine is how much of somebody else's text goes into a condition.
const maxLine = 300

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if len(line) > maxLine {
		line = strings.ToValidUTF8(line[:maxLine], "") + "..."
	}
	return strings.TrimRight(line, ".")
}
