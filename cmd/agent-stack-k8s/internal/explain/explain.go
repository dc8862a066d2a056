package explain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Explain says where a job is, since when and why. It is a pure function.
func Explain(facts Facts) Report {
	report := Report{Job: jobReport(facts), State: StateUnknown, Looked: facts.Looked, Next: []string{}}
	if facts.Pod == nil {
		report.withoutPod(facts)
		return report
	}
	pod := facts.Pod
	report.Pod = podReport(pod)
	report.Phases = phasesOf(pod, facts.Now)
	report.Containers = containersOf(pod, facts.Now)
	report.Events = eventLines(facts.Events, facts.Now)
	report.withPod(facts)
	return report
}

func jobReport(facts Facts) JobReport {
	report := JobReport{UUID: facts.UUID}
	if facts.Pod != nil {
		report.URL = facts.Pod.Annotations[contract.JobURLAnnotation]
	}
	if job := facts.Job; job != nil {
		report.State, report.ExitStatus, report.SignalReason = job.State, job.ExitStatus, job.SignalReason
		if job.URL != "" {
			report.URL = job.URL
		}
		if job.Agent != nil {
			report.Agent = job.Agent.Name
		}
	}
	return report
}

func podReport(pod *corev1.Pod) *PodReport {
	attempt, err := strconv.Atoi(pod.Annotations[contract.AttemptAnnotation])
	if err != nil {
		attempt = 1
	}
	queue := pod.Labels[contract.TagLabelPrefix+jobpod.QueueKey]
	if queue == "" {
		if tags, err := jobpod.ParseTags(strings.Split(pod.Annotations[contract.AgentTagsAnnotation], ",")); err == nil {
			queue = tags.Queue()
		}
	}
	return &PodReport{
		Namespace: pod.Namespace, Name: pod.Name, Node: pod.Spec.NodeName, Queue: queue,
		Attempt: attempt, Created: pod.CreationTimestamp.Time,
	}
}

// withPod explains a job that has a pod: what ended it comes first, then what
// keeps it from starting, then how far it has come.
func (r *Report) withPod(facts Facts) {
	pod, run := facts.Pod, diagnosis.RunOf(facts.Pod)
	if loss := diagnosis.LossOf(pod); loss != nil {
		r.lost(loss)
		return
	}
	if run.Finished {
		r.finished(facts, run)
		return
	}
	if pod.DeletionTimestamp != nil {
		r.State, r.Summary, r.Since = StateFailed, "its pod is being deleted before the job began", pod.DeletionTimestamp.Time
		r.next("Nothing, if the job was cancelled. Otherwise the dispatcher makes another pod once this one is gone.")
		return
	}
	if gate := gateOf(pod); gate != "" {
		r.gated(pod, gate)
		return
	}
	if run.Started {
		r.started(facts, run)
		return
	}
	if trouble := diagnosis.TroubleOf(pod); trouble != nil {
		r.troubled(facts, trouble)
	}
}

func gateOf(pod *corev1.Pod) string {
	if len(pod.Spec.SchedulingGates) == 0 {
		return ""
	}
	isOurs := slices.ContainsFunc(pod.Spec.SchedulingGates, func(g corev1.PodSchedulingGate) bool { return g.Name == contract.Gate })
	if isOurs {
		return contract.Gate
	}
	return pod.Spec.SchedulingGates[0].Name
}

func (r *Report) gated(pod *corev1.Pod, gate string) {
	r.State, r.Since = StateGated, pod.CreationTimestamp.Time
	if gate == contract.Gate {
		r.Cause, r.Summary = diagnosis.CauseMutatorMissing, "waits for the mutator, which did not see its pod"
		r.Why = append(r.Why, "the pod has the scheduling gate "+contract.Gate+", which the mutator removes when a pod is created, and nobody later")
		r.next("Run agent-stack-k8s doctor: "+diagnosis.OperatorAdvice(diagnosis.CauseMutatorMissing)+".",
			fmt.Sprintf("Then delete the pod, so that it is created again: kubectl -n %s delete pod %s", pod.Namespace, pod.Name))
		return
	}
	r.Summary = "waits for its turn: the scheduling gate " + gate + " holds its pod"
	r.next("Ask whoever put the gate there, such as Kueue: kubectl get workloads -n " + pod.Namespace)
}

func (r *Report) lost(loss *diagnosis.Trouble) {
	r.State, r.Cause, r.Since = StateLost, loss.Cause, loss.Since
	r.Summary = "was cut short: " + lossSummary(loss)
	r.because(loss.Message)
	r.next(loss.LossAdvice(), r.retryHint())
}

func lossSummary(loss *diagnosis.Trouble) string {
	switch loss.Cause {
	case diagnosis.CauseOutOfMemory:
		return "container " + loss.Container + " used more memory than it may"
	case diagnosis.CauseDeleted:
		return "somebody deleted its pod while it ran"
	case diagnosis.CauseDrained:
		return "its pod was evicted while it ran, as when a node is drained"
	case diagnosis.CausePreempted:
		return "a pod of higher priority took its place"
	case diagnosis.CauseEvicted:
		return "its node was short of memory or disk and evicted it"
	case diagnosis.CauseNodeLost:
		return "the node that its pod ran on is gone"
	case diagnosis.CauseNodeShutdown:
		return "its node was shut down"
	case diagnosis.CauseDeadline:
		return "its pod was older than it allows"
	default:
		return "its node ended the pod"
	}
}

// troubled explains a pod that has not started.
func (r *Report) troubled(facts Facts, trouble *diagnosis.Trouble) {
	r.Cause, r.Since = trouble.Cause, trouble.Since
	r.because(trouble.Message)
	switch trouble.Cause {
	case diagnosis.CauseUnschedulable:
		r.State, r.Summary = StatePending, diagnosis.Waiting(trouble.Cause)
		r.next(
			"Change what the pod asks for, or ask for more nodes: no node can take the pod now.",
			fmt.Sprintf("See what each node has left: kubectl describe nodes; and what the pod asks for: kubectl -n %s describe pod %s", facts.Pod.Namespace, facts.Pod.Name))
		return
	case diagnosis.CausePending:
		r.pending(facts, trouble)
		return
	}
	r.State, r.Summary = StateStuck, diagnosis.Waiting(trouble.Cause)
	if trouble.Container != "" {
		r.Summary += ": container " + trouble.Container
	}
	if status := trouble.ExitStatus(); trouble.Image != "" && (status == diagnosis.ExitImage || status == diagnosis.ExitImagePull) {
		r.Summary += ", image " + trouble.Image
	}
	if trouble.Platform {
		r.next(
			"Ask the cluster's operators: container "+trouble.Container+" and its image are the platform's, so no job fails for it; jobs wait until it is mended.",
			"Operators: run agent-stack-k8s doctor, and see agentImage and entrypointImage in the mutator's configuration.")
		return
	}
	r.next(trouble.Advice(), r.fails(trouble))
	r.logHint(facts, trouble)
}

// pending tells a pull and a mount that does not come from a pod that has only
// just been made.
func (r *Report) pending(facts Facts, trouble *diagnosis.Trouble) {
	pod := facts.Pod
	r.State, r.Summary, r.Cause = StateStarting, "waits for its containers to start", ""
	if pod.Spec.NodeName == "" {
		r.State, r.Summary = StatePending, "waits for the scheduler to choose a node for its pod"
		r.next("Nothing yet. If it stays so, the cluster's scheduler does not work: kubectl get events -n " + pod.Namespace)
		return
	}
	for _, event := range slices.Backward(facts.Events) {
		switch {
		case event.Type == corev1.EventTypeWarning:
			r.State, r.Cause, r.Summary = StateStuck, trouble.Cause, "waits for its containers to start, and something is in the way: "+event.Reason
			r.because(event.Message)
			r.next(
				"Correct what the event names, or ask the cluster's operators.",
				r.fails(trouble))
			return
		case event.Reason == "Pulling":
			r.Summary = "waits for an image to be pulled"
			r.because(event.Message)
			r.next("Nothing yet: a large image takes its time. If it often does, use a smaller one, or have it on the nodes beforehand.")
			return
		}
	}
	r.next("Nothing yet: this takes a few seconds.")
}

// fails says what comes of it.
func (r *Report) fails(trouble *diagnosis.Trouble) string {
	return fmt.Sprintf("If it stays so, the dispatcher fails the job with exit status %d and signal reason %s, and the job's log says why (docs/failures.md).",
		trouble.ExitStatus(), diagnosis.StackErrorReason)
}

func (r *Report) logHint(facts Facts, trouble *diagnosis.Trouble) {
	if trouble.Cause == diagnosis.CauseServiceFailed || trouble.Cause == diagnosis.CauseInitFailed {
		r.next(fmt.Sprintf("Read its log: kubectl -n %s logs %s -c %s --previous", facts.Pod.Namespace, facts.Pod.Name, trouble.Container))
	}
}

func (r *Report) because(words string) {
	if words != "" {
		r.Why = append(r.Why, words)
	}
}

func (r *Report) next(steps ...string) {
	for _, step := range steps {
		if step != "" {
			r.Next = append(r.Next, step)
		}
	}
}

func (r *Report) retryHint() string {
	if r.Job.URL == "" {
		return ""
	}
	return "The job: " + r.Job.URL
}
