package faults

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// podOf returns a job's pod, or nil.
func (c *cluster) podOf(job string) *corev1.Pod {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pods[jobpod.PodName(job)]
}

// count returns how many pods there are.
func (c *cluster) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pods)
}

// change has a node, a controller or a person change a job's pod.
func (c *cluster) change(job string, how func(pod *corev1.Pod)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := c.pods[jobpod.PodName(job)].DeepCopy()
	how(changed)
	c.put(watch.Modified, changed)
}

// place gives the pod a node.
func (c *cluster) place(job string) {
	c.change(job, func(pod *corev1.Pod) {
		pod.Spec.NodeName = "node"
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(c.now())}}
	})
}

// fails has a container wait for a reason.
func (c *cluster) fails(job, reason, message string) {
	c.change(job, func(pod *corev1.Pod) {
		waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: pod.Spec.Containers[0].Name, State: waiting}}
	})
}

// starts has all of the pod's containers start.
func (c *cluster) starts(job string) {
	c.change(job, func(pod *corev1.Pod) {
		pod.Spec.NodeName, pod.Status.Phase = "node", corev1.PodRunning
		pod.Status.ContainerStatuses = nil
		for _, container := range pod.Spec.Containers {
			state := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.now())}}
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{Name: container.Name, State: state})
		}
	})
}

// ends has the pod's agent end with a status, and with it the pod.
func (c *cluster) ends(job string, status int32) {
	c.change(job, func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodSucceeded
		if status != 0 {
			pod.Status.Phase = corev1.PodFailed
		}
		for i := range pod.Status.ContainerStatuses {
			ended := &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(c.now())}
			if pod.Status.ContainerStatuses[i].Name == contract.AgentContainer {
				ended.ExitCode = status
			}
			pod.Status.ContainerStatuses[i].State = corev1.ContainerState{Terminated: ended}
		}
	})
}

// removePod deletes a job's pod as `kubectl delete` does; whether watches hear
// of it is another question.
func (c *cluster) removePod(job string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.pods[jobpod.PodName(job)], nil)
}

// goes has a pod that was deleted be gone.
func (c *cluster) goes(job string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pod := c.pods[jobpod.PodName(job)]; pod != nil {
		c.put(watch.Deleted, pod)
	}
}

// vanish takes a pod out of the store without a word to any watch.
func (c *cluster) vanish(job string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pods, jobpod.PodName(job))
	c.version++
	c.events = slices.DeleteFunc(c.events, func(event podEvent) bool { return event.version == c.version })
}

// latest is when the last of the pods was created, by the API server's clock.
func (c *cluster) latest() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	var latest time.Time
	for _, pod := range c.pods {
		if pod.CreationTimestamp.After(latest) {
			latest = pod.CreationTimestamp.Time
		}
	}
	return latest
}

// agentEnds has the pod's agent end well while another container goes on.
func (c *cluster) agentEnds(job string) {
	c.change(job, func(pod *corev1.Pod) {
		for i := range pod.Status.ContainerStatuses {
			if pod.Status.ContainerStatuses[i].Name == contract.AgentContainer {
				ended := &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(c.now()), Reason: "Completed"}
				pod.Status.ContainerStatuses[i].State = corev1.ContainerState{Terminated: ended}
			}
		}
	})
}
