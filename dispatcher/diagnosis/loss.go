package diagnosis

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Causes of the loss of a job that has begun, beside those of pods that the
// cluster ends. They are metric labels too.
const (
	CauseOutOfMemory = "out-of-memory"
	CauseDeleted     = "deleted"
	CauseDrained     = "drained"
)

// LossOf returns what took the ground from under a pod whose containers had
// started, or nil. The job's own status is its agent's to report; this is why.
func LossOf(pod *corev1.Pod) *Trouble {
	run := RunOf(pod)
	if !run.Started || run.Finished && run.AgentExit == 0 && agentEnded(pod) {
		return nil
	}
	if pod.Status.Phase == corev1.PodFailed {
		// A drained pod has failed as well, and only its deletion says why.
		if loss := failureOf(pod); loss != nil {
			return loss
		}
	}
	if loss := outOfMemory(pod); loss != nil {
		return loss
	}
	return deletionOf(pod, run)
}

func agentEnded(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(status corev1.ContainerStatus) bool {
		return status.Name == contract.AgentContainer && status.State.Terminated != nil
	})
}

// outOfMemory finds a container that was ended for the memory it used.
func outOfMemory(pod *corev1.Pod) *Trouble {
	for _, status := range slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses) {
		for _, state := range []corev1.ContainerState{status.State, status.LastTerminationState} {
			if state.Terminated == nil || state.Terminated.Reason != "OOMKilled" {
				continue
			}
			return &Trouble{
				Cause: CauseOutOfMemory, Container: status.Name, Image: imageOf(pod, status), Platform: isInjected(pod, status),
				Message: memoryLimit(pod, status.Name), Since: state.Terminated.FinishedAt.Time,
			}
		}
	}
	return nil
}

func memoryLimit(pod *corev1.Pod, name string) string {
	for _, container := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		if limit, isSet := container.Resources.Limits[corev1.ResourceMemory]; container.Name == name && isSet {
			return "its memory limit is " + limit.String()
		}
	}
	if pod.Spec.Resources != nil {
		if limit, isSet := pod.Spec.Resources.Limits[corev1.ResourceMemory]; isSet {
			return "the pod's memory limit is " + limit.String()
		}
	}
	return "it has no memory limit, so its node ran out of memory"
}

// deletionOf tells who deleted a pod before its agent had ended. This program
// does not do that once the containers have started.
func deletionOf(pod *corev1.Pod, run Run) *Trouble {
	if pod.DeletionTimestamp == nil {
		return nil
	}
	grace := int64(0)
	if pod.DeletionGracePeriodSeconds != nil {
		grace = *pod.DeletionGracePeriodSeconds
	}
	// The deletion's time is when the pod has to be gone.
	requested := pod.DeletionTimestamp.Unix() - grace
	disruption := ConditionOf(pod, corev1.DisruptionTarget)
	// All times are whole seconds. Within the same one a pod that something
	// disrupts was running, and one that is just deleted had ended.
	endedBefore := run.FinishedAt.Unix() < requested || run.FinishedAt.Unix() == requested && disruption == nil
	if run.Finished && endedBefore {
		return nil
	}
	loss := &Trouble{Cause: CauseDeleted, Since: pod.DeletionTimestamp.Time}
	if disruption != nil {
		loss.Message = Limit(disruption.Message)
		switch disruption.Reason {
		case corev1.PodReasonPreemptionByScheduler:
			loss.Cause, loss.Platform = CausePreempted, true
		case "DeletionByTaintManager", "DeletionByPodGC":
			loss.Cause, loss.Platform = CauseNodeLost, true
		case "EvictionByEvictionAPI":
			loss.Cause, loss.Platform = CauseDrained, true
		}
	}
	return loss
}
