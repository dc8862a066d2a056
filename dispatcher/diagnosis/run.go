package diagnosis

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Run is how far a pod has come.
type Run struct {
	// Started is set once every container has started, so that the agent may
	// have acquired the job.
	Started bool
	// StartedAt is when the last container started, if all have.
	StartedAt time.Time
	// Finished is set once the agent has ended, or the pod as a whole.
	Finished bool
	// FinishedAt is when the agent or the pod ended.
	FinishedAt time.Time
	// AgentExit is the agent's exit status; 0 also for an agent that never ran.
	AgentExit int32
}

// RunOf reads it from a pod's status.
func RunOf(pod *corev1.Pod) Run {
	run := Run{Started: HasStarted(pod)}
	run.StartedAt = startOf(pod, run.Started)
	run.finish(pod)
	return run
}

// startOf returns when the last container started.
func startOf(pod *corev1.Pod, hasStarted bool) time.Time {
	var last time.Time
	if !hasStarted {
		return last
	}
	for _, status := range pod.Status.ContainerStatuses {
		if running := status.State.Running; running != nil && running.StartedAt.After(last) {
			last = running.StartedAt.Time
		}
		if ended := status.State.Terminated; ended != nil && ended.StartedAt.After(last) {
			last = ended.StartedAt.Time
		}
	}
	return last
}

// HasStarted reports whether no container waits to be started any more.
func HasStarted(pod *corev1.Pod) bool {
	if len(pod.Status.ContainerStatuses) < len(pod.Spec.Containers) {
		return false
	}
	return !slices.ContainsFunc(pod.Status.ContainerStatuses, func(status corev1.ContainerStatus) bool {
		return status.State.Running == nil && status.State.Terminated == nil
	})
}

// finish notes whether and how the pod ended. What happens in it after the
// agent's end is of no interest to anybody.
func (r *Run) finish(pod *corev1.Pod) {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == contract.AgentContainer && status.State.Terminated != nil {
			r.Finished = true
			r.AgentExit = status.State.Terminated.ExitCode
			r.FinishedAt = status.State.Terminated.FinishedAt.Time
		}
	}
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		r.Finished = true
	}
	if r.Finished && r.FinishedAt.IsZero() {
		r.FinishedAt = lastChange(pod)
	}
}

// lastChange stands in for the end of a pod whose agent left no status, such
// as one that was evicted.
func lastChange(pod *corev1.Pod) time.Time {
	last := pod.CreationTimestamp.Time
	for _, condition := range pod.Status.Conditions {
		if condition.LastTransitionTime.After(last) {
			last = condition.LastTransitionTime.Time
		}
	}
	return last
}
