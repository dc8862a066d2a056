package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/terminal"
	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Roles of containers.
const (
	roleAgent   = "agent"
	roleInstall = "setup"
	roleService = "service"
	roleInit    = "init"
	roleJob     = "job"
	roleOther   = "other"
)

// containersOf puts each container's state into words.
func containersOf(pod *corev1.Pod, now time.Time) []Container {
	trouble := diagnosis.TroubleOf(pod)
	statuses := map[string]corev1.ContainerStatus{}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		statuses[status.Name] = status
	}
	var containers []Container
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		containers = append(containers, Container{
			Name: container.Name, Role: roleOf(pod, container.Name), Image: container.Image,
			State:     stateInWords(statuses[container.Name], now),
			IsTrouble: trouble != nil && trouble.Container == container.Name,
		})
	}
	return containers
}

// roleOf says what a container is there for. Job containers and checkout are
// those that the mutator wrapped.
func roleOf(pod *corev1.Pod, name string) string {
	switch name {
	case contract.AgentContainer:
		return roleAgent
	case contract.CheckoutContainer:
		return roleJob
	case contract.InstallContainer:
		return roleInstall
	}
	for _, container := range pod.Spec.InitContainers {
		if container.Name == name {
			if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
				return roleService
			}
			return roleInit
		}
	}
	for _, container := range pod.Spec.Containers {
		if container.Name == name && len(container.Command) > 0 && container.Command[0] == contract.EntrypointPath {
			return roleJob
		}
	}
	return roleOther
}

func stateInWords(status corev1.ContainerStatus, now time.Time) string {
	restarts := ""
	if status.RestartCount > 0 {
		restarts = fmt.Sprintf(", started again %d times", status.RestartCount)
		if status.RestartCount == 1 {
			restarts = ", started again once"
		}
	}
	switch state := status.State; {
	case state.Running != nil:
		return "runs for " + terminal.Duration(now.Sub(state.Running.StartedAt.Time)) + restarts
	case state.Terminated != nil:
		return endInWords(state.Terminated) + restarts
	case state.Waiting != nil:
		words := waitingInWords(state.Waiting.Reason)
		if last := status.LastTerminationState.Terminated; last != nil {
			words += "; last " + endInWords(last)
		}
		return words + restarts
	default:
		return "has not begun"
	}
}

func endInWords(ended *corev1.ContainerStateTerminated) string {
	words := fmt.Sprintf("ended with exit status %d", ended.ExitCode)
	if ended.Reason != "" && ended.Reason != "Error" && ended.Reason != "Completed" {
		words += " (" + ended.Reason + ")"
	}
	if took := ended.FinishedAt.Sub(ended.StartedAt.Time); !ended.StartedAt.IsZero() && took >= 0 {
		words += " after " + terminal.Duration(took)
	}
	return words
}

func waitingInWords(reason string) string {
	switch reason {
	case "PodInitializing":
		return "waits for the init containers"
	case "ContainerCreating", "":
		return "waits for its image and its volumes"
	case "ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable":
		return "waits for its image, which could not be pulled (" + reason + ")"
	case "InvalidImageName":
		return "cannot start: its image's name is none (" + reason + ")"
	case "ErrImageNeverPull":
		return "cannot start: its image is not on the node, and may not be pulled (" + reason + ")"
	case "CreateContainerConfigError":
		return "cannot start: something that it refers to is missing (" + reason + ")"
	case "CreateContainerError", "RunContainerError":
		return "cannot start: the container runtime fails (" + reason + ")"
	case "CrashLoopBackOff":
		return "ends again and again (" + reason + ")"
	default:
		return "waits (" + reason + ")"
	}
}

// maxEvents is how many events are shown.
const maxEvents = 8

func eventLines(events []corev1.Event, now time.Time) []string {
	var lines []string
	for _, event := range events[max(0, len(events)-maxEvents):] {
		at := event.LastTimestamp.Time
		if at.IsZero() {
			at = event.EventTime.Time
		}
		line := fmt.Sprintf("%s %s: %s", event.Type, event.Reason, strings.TrimSpace(diagnosis.Limit(event.Message)))
		if !at.IsZero() {
			line = terminal.Duration(now.Sub(at)) + " ago  " + line
		}
		if event.Count > 1 {
			line += fmt.Sprintf(" (%d times)", event.Count)
		}
		lines = append(lines, line)
	}
	return lines
}
