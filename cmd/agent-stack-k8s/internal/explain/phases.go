package explain

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// summary is what the entrypoint in the agent container leaves in its termination
// log. Times are in seconds since it started.
type summary struct {
	Version    int                `json:"version"`
	ExitStatus int                `json:"exitStatus"`
	Failure    string             `json:"failure"`
	Stopped    bool               `json:"stopped"`
	Phases     map[string]float64 `json:"phases"`
	Containers []struct {
		Name    string  `json:"name"`
		Started float64 `json:"started"`
		Ended   float64 `json:"ended"`
		Status  *int    `json:"status"`
	} `json:"containers"`
}

func agentStatus(pod *corev1.Pod) *corev1.ContainerStatus {
	index := slices.IndexFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == contract.AgentContainer })
	if index < 0 {
		return nil
	}
	return &pod.Status.ContainerStatuses[index]
}

// summaryOf returns what a pod's agent left behind, or nil.
func summaryOf(pod *corev1.Pod) *summary {
	status := agentStatus(pod)
	if status == nil || status.State.Terminated == nil {
		return nil
	}
	var left summary
	if err := json.Unmarshal([]byte(status.State.Terminated.Message), &left); err != nil || left.Version != 1 {
		return nil
	}
	return &left
}

// phasesOf returns the parts of a pod's way so far. Those before the agent began
// are Kubernetes', to the second; those after it the entrypoint's.
func phasesOf(pod *corev1.Pod, now time.Time) []Phase {
	line := timeline{now: now, at: pod.CreationTimestamp.Time}
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		line.now = diagnosis.RunOf(pod).FinishedAt
	}
	scheduled := diagnosis.ConditionOf(pod, corev1.PodScheduled)
	if !line.until("scheduling", scheduled) {
		return line.phases
	}
	if len(pod.Spec.InitContainers) > 0 {
		if !line.until("init containers", diagnosis.ConditionOf(pod, corev1.PodInitialized)) {
			return line.phases
		}
	}
	run := diagnosis.RunOf(pod)
	line.moment("containers start", run.StartedAt)
	if run.StartedAt.IsZero() {
		return line.phases
	}
	line.ofAgent(pod)
	return line.phases
}

// timeline adds phases one after another.
type timeline struct {
	phases []Phase
	at     time.Time
	now    time.Time
}

// until ends a phase when a condition came true, and reports whether it has.
func (l *timeline) until(name string, condition *corev1.PodCondition) bool {
	if condition == nil || condition.Status != corev1.ConditionTrue {
		l.moment(name, time.Time{})
		return false
	}
	l.moment(name, condition.LastTransitionTime.Time)
	return true
}

// moment ends a phase at a time; the zero time is one that lasts.
func (l *timeline) moment(name string, end time.Time) {
	isRunning := end.IsZero()
	if isRunning {
		end = l.now
	}
	end = later(end, l.at)
	l.phases = append(l.phases, Phase{Name: name, Start: l.at, Seconds: end.Sub(l.at).Seconds(), Running: isRunning})
	l.at = end
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// ofAgent adds what happened from when the containers were there.
func (l *timeline) ofAgent(pod *corev1.Pod) {
	left, status := summaryOf(pod), agentStatus(pod)
	if left == nil {
		if status != nil && status.State.Terminated != nil {
			l.moment("agent", status.State.Terminated.FinishedAt.Time)
		} else {
			l.moment("agent", time.Time{})
		}
		return
	}
	begun := status.State.Terminated.StartedAt.Time
	after := func(seconds float64) time.Time { return begun.Add(time.Duration(seconds * float64(time.Second))) }
	if acquired := left.Phases["acquired"]; acquired > 0 {
		l.moment("agent takes the job", after(acquired))
	}
	for _, container := range left.Containers {
		if container.Started == 0 {
			continue
		}
		l.at = later(after(container.Started), l.at)
		l.moment(strings.TrimSpace("container "+container.Name), after(container.Ended))
	}
	if finished := left.Phases["finished"]; finished > 0 {
		l.moment("agent finishes", after(finished))
	}
}
