package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
)

// withoutPod explains a job that has no pod, from what Buildkite and the
// dispatcher's log say.
func (r *Report) withoutPod(facts Facts) {
	job := facts.Job
	switch {
	case job == nil && facts.JobKnown:
		r.Summary = "is unknown to Buildkite, or the token may not see it"
		r.next("Check the UUID, and that the token belongs to the job's organization.")
		return
	case job == nil:
		r.fromLog(facts)
		return
	case isWithdrawn(job.State):
		r.withdrawn(facts)
		return
	case job.State == "FINISHED":
		r.over(facts)
		return
	case job.State != "SCHEDULED":
		r.elsewhere(facts)
		return
	}
	r.State, r.Since = StateWaiting, job.RunnableAt
	if r.Since.IsZero() {
		r.Since = job.ScheduledAt
	}
	r.scheduled(facts)
}

// scheduled explains a scheduled job: whose it would be, and why it has no pod.
func (r *Report) scheduled(facts Facts) {
	job := facts.Job
	serving := slices.IndexFunc(facts.Dispatchers, func(d DispatcherFacts) bool { return d.Serves })
	switch {
	case job.Queue != nil && job.Queue.Paused:
		r.Summary = "waits: its queue " + job.Queue.Key + " is paused"
		r.next("Resume the queue in Buildkite.")
	case serving < 0 && len(facts.Dispatchers) == 0:
		r.Summary = "waits: this cluster has no dispatcher"
		r.next("Choose the cluster that serves its queue (--context), or install the dispatcher here.")
	case serving < 0 && slices.ContainsFunc(facts.Dispatchers, func(d DispatcherFacts) bool { return d.IsOfAnotherCluster }):
		r.ofAnotherCluster(facts)
	case serving < 0:
		r.Summary = "waits: no dispatcher of this cluster serves it"
		r.because("it asks for " + strings.Join(job.Rules, ", ") + "; served here: " + strings.Join(servedQueues(facts), "; "))
		r.next("Correct the step's agents, or choose the cluster that serves its queue (--context).")
	case !facts.Dispatchers[serving].Leads:
		r.Summary = "waits: no replica of the dispatcher " + facts.Dispatchers[serving].Name + " leads"
		r.next("Run agent-stack-k8s doctor.")
	case r.held(facts):
	case isFull(facts.Dispatchers[serving]):
		r.Cause, r.Summary = diagnosis.CauseCapacity, diagnosis.Waiting(diagnosis.CauseCapacity)
		r.because(fmt.Sprintf("the dispatcher has %d pods in flight, and max-in-flight is %d", facts.Dispatchers[serving].InFlight, facts.Dispatchers[serving].MaxInFlight))
		r.next("Wait, or raise max-in-flight in the dispatcher's configuration.")
	default:
		r.Summary = "waits for the dispatcher to see it"
		r.next("Nothing yet: this takes a few seconds. If it stays so, run agent-stack-k8s doctor, and read the dispatcher's log.")
	}
}

// ofAnotherCluster explains a job whose queue is served here by name only:
// cluster-uuid is wrong, or was left out.
func (r *Report) ofAnotherCluster(facts Facts) {
	r.Summary = "waits: no dispatcher here serves its Buildkite cluster"
	own := clusterOf(facts.Job)
	if own.UUID == "" {
		r.because("it is outside Buildkite's clusters")
	} else {
		r.because("it belongs to the Buildkite cluster " + own.Name + ", " + own.UUID)
	}
	for _, dispatcher := range facts.Dispatchers {
		switch {
		case !dispatcher.IsOfAnotherCluster:
		case dispatcher.Cluster == "":
			r.because("the dispatcher " + dispatcher.Name + " serves jobs outside Buildkite's clusters: it has no cluster-uuid")
		default:
			r.because("the dispatcher " + dispatcher.Name + " serves the Buildkite cluster " + dispatcher.Cluster)
		}
	}
	if own.UUID == "" {
		r.next("Move the pipeline into the Buildkite cluster that is served here, or choose the cluster that serves it (--context).")
		return
	}
	r.next("Set cluster-uuid in the dispatcher's configuration to " + own.UUID + ", or choose the cluster that serves it (--context).")
}

func servedQueues(facts Facts) []string {
	var served []string
	for _, dispatcher := range facts.Dispatchers {
		served = append(served, dispatcher.Queues...)
	}
	return served
}

func isFull(dispatcher DispatcherFacts) bool {
	return dispatcher.MaxInFlight > 0 && dispatcher.InFlight >= dispatcher.MaxInFlight
}

// held reports whether the dispatcher's log says why the job has no pod.
func (r *Report) held(facts Facts) bool {
	if len(facts.Log) == 0 {
		return false
	}
	last := facts.Log[len(facts.Log)-1]
	if last.Cause == "" {
		return false
	}
	r.Cause, r.Summary = last.Cause, diagnosis.Waiting(last.Cause)
	r.Since = last.At
	r.because(last.Error)
	r.next(diagnosis.Remedy(last.Cause))
	return true
}

// fromLog is all that can be said without Buildkite's word and without a pod.
func (r *Report) fromLog(facts Facts) {
	const token = "With a token (--buildkite-token) this command says what Buildkite knows."
	if len(facts.Log) == 0 {
		r.Summary = "is not known here: no pod of this cluster has it, and no dispatcher's log names it"
		r.next("Check the UUID and the cluster (--context). A pod is kept for a while after its job, 10 minutes by default.", token)
		return
	}
	last := facts.Log[len(facts.Log)-1]
	r.Since, r.Cause = last.At, last.Cause
	switch last.Message {
	case "failed job":
		r.State, r.Summary = StateFailed, "was failed by the dispatcher, and ran no command: "+failedSummary(last.Cause)
		r.because(last.Error)
		r.next(diagnosis.Remedy(last.Cause), "The job's log in Buildkite opens with the reason.", token)
	case "job is taken":
		r.State, r.Summary = StateEnded, "runs elsewhere, was cancelled, or has ended"
		r.next(token)
	case "held job", "left job to other clusters":
		r.State = StateWaiting
		r.held(facts)
		r.next(token)
	default:
		r.State, r.Summary = StateUnknown, "has no pod any more; the dispatcher's last word about it is: "+last.Message
		r.next(token)
	}
}

func failedSummary(cause string) string {
	return "cause " + cause
}

// over explains a job that has ended and has no pod any more.
func (r *Report) over(facts Facts) {
	r.State, r.Since = StateEnded, facts.Job.FinishedAt
	r.Summary = "has ended" + jobOutcome(r.Job)
	meaning := stackFailure(r.Job)
	if meaning == "" {
		r.next("Read the job's log in Buildkite.", r.retryHint())
		return
	}
	r.State, r.Summary = StateFailed, "was failed by the dispatcher, and ran no command: "+meaning
	r.because("exit status " + r.Job.ExitStatus + ", signal reason " + r.Job.SignalReason)
	if len(facts.Log) > 0 && facts.Log[len(facts.Log)-1].Cause != "" {
		r.Cause = facts.Log[len(facts.Log)-1].Cause
		r.next(diagnosis.Remedy(r.Cause))
	}
	r.next("Read the job's log in Buildkite: its first line says what to change.", r.retryHint())
}

// elsewhere explains a job that an agent has, or that none may have yet.
func (r *Report) elsewhere(facts Facts) {
	job := facts.Job
	r.Since = job.RunnableAt
	switch job.State {
	case "ASSIGNED", "ACCEPTED", "RUNNING", "RESERVED":
		r.State, r.Summary, r.Since = StateRunning, "is with an agent, and not in a pod of this cluster", job.StartedAt
		if job.Agent != nil {
			r.because("agent " + job.Agent.Name + " on " + job.Agent.Hostname + ", " + job.Agent.ConnectionState)
		}
		r.next("Look at the cluster that the agent is in (--context). If that was this one, its pod is gone, and Buildkite ends the job when it has missed the agent for some minutes.", r.retryHint())
	case "PENDING", "WAITING":
		r.State, r.Summary = StateBlocked, "waits in Buildkite for steps before it"
		r.next("Nothing in the cluster.", r.retryHint())
	case "BLOCKED":
		r.State, r.Summary = StateBlocked, "waits in Buildkite for somebody to unblock it"
		r.next("Unblock it in Buildkite.", r.retryHint())
	case "LIMITED", "LIMITING", "PLATFORM_LIMITED", "PLATFORM_LIMITING":
		r.State, r.Summary = StateBlocked, "waits in Buildkite for its concurrency limit"
		r.next("Wait for the other jobs of its concurrency group, or raise the limit in the step.", r.retryHint())
	default:
		r.State, r.Summary = StateUnknown, "is "+job.State+" in Buildkite"
		r.next("See the job in Buildkite.", r.retryHint())
	}
}
