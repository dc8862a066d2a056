package explain

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// exitTaken is the agent's exit status when Buildkite refuses it the job.
const exitTaken = 27

// silentAfter is how long a started pod's job may be scheduled still before it is
// worth a word. The dispatcher's own patience is longer.
const silentAfter = time.Minute

// started explains a job whose containers all run.
func (r *Report) started(facts Facts, run diagnosis.Run) {
	r.Since = run.StartedAt
	if trouble := diagnosis.TroubleOf(facts.Pod); trouble != nil && trouble.Cause == diagnosis.CauseServiceFailed {
		r.troubled(facts, trouble)
		return
	}
	job := facts.Job
	switch {
	case job == nil:
		r.State, r.Summary = StateStarted, "all its containers have started, so its agent takes it or has taken it"
		r.next("Read the job's log in Buildkite.", r.retryHint(), "With a token (--buildkite-token) this command says what Buildkite knows.")
	case job.State == "SCHEDULED" && facts.Now.Sub(run.StartedAt) > silentAfter:
		trouble := &diagnosis.Trouble{Cause: diagnosis.CauseAgentSilent, Container: contract.AgentContainer}
		r.State, r.Cause, r.Summary = StateStuck, trouble.Cause, "its containers have started, and its agent has not taken it"
		r.next(trouble.Advice(),
			fmt.Sprintf("Read the agent's log: kubectl -n %s logs %s -c %s", facts.Pod.Namespace, facts.Pod.Name, contract.AgentContainer),
			r.fails(trouble))
	case job.State == "SCHEDULED":
		r.State, r.Summary = StateStarted, "its containers have started, and its agent is about to take it"
		r.next("Nothing yet: this takes a few seconds.")
	case isWithdrawn(job.State):
		r.withdrawn(facts)
	case job.State == "FINISHED":
		r.State, r.Summary, r.Since = StateEnded, "has ended"+jobOutcome(r.Job), job.FinishedAt
		r.next("Nothing: its pod is about to end.", r.retryHint())
	default:
		r.State, r.Summary = StateRunning, "runs"
		if !job.StartedAt.IsZero() {
			r.Since = job.StartedAt
		}
		r.next("Read the job's log in Buildkite.", r.retryHint())
	}
}

// finished explains a job whose pod has ended by itself.
func (r *Report) finished(facts Facts, run diagnosis.Run) {
	r.Since = run.FinishedAt
	summary := summaryOf(facts.Pod)
	if trouble := diagnosis.TroubleOf(facts.Pod); trouble != nil {
		r.ended(facts, trouble)
		return
	}
	switch {
	case summary != nil && summary.Failure != "":
		r.State, r.Summary = StateFailed, "was ended by its pod's supervisor"
		r.because(summary.Failure)
		r.next("Read the job's log in Buildkite: it opens with the reason.", r.retryHint())
	case run.AgentExit == exitTaken:
		r.State, r.Summary = StateEnded, "was not this pod's to run: Buildkite refused it to the agent, as it runs elsewhere, was cancelled, or has ended"
		r.next("Nothing: the dispatcher deletes the pod.", r.retryHint())
	case summary != nil && summary.Phases["acquired"] == 0, summary == nil && run.AgentExit != 0:
		r.neverRan(facts, run)
	default:
		r.State, r.Summary = StateEnded, "has run to its end"+r.outcome(facts)
		r.next("Read the job's log in Buildkite.", r.retryHint())
	}
}

// ended explains a pod that failed before its job began, with the reason.
func (r *Report) ended(facts Facts, trouble *diagnosis.Trouble) {
	r.State, r.Cause, r.Since = StateFailed, trouble.Cause, trouble.Since
	if trouble.Cause == diagnosis.CauseInitFailed {
		r.Summary = diagnosis.Waiting(trouble.Cause) + ": " + trouble.Container
	} else {
		r.Summary = "did not begin: " + lossSummary(trouble)
	}
	r.because(trouble.Message)
	r.next(trouble.Advice())
	if trouble.ExitStatus() == diagnosis.ExitNode {
		r.next("The dispatcher makes another pod by itself, up to three.")
	} else {
		r.next(fmt.Sprintf("The dispatcher fails the job with exit status %d and signal reason %s.", trouble.ExitStatus(), diagnosis.StackErrorReason))
	}
	if trouble.Cause == diagnosis.CauseInitFailed {
		r.next(fmt.Sprintf("Read its log: kubectl -n %s logs %s -c %s", facts.Pod.Namespace, facts.Pod.Name, trouble.Container))
	}
	r.next(r.retryHint())
}

func (r *Report) neverRan(facts Facts, run diagnosis.Run) {
	r.State, r.Cause = StateFailed, diagnosis.CauseEndedWithoutARun
	r.Summary = fmt.Sprintf("did not begin: its agent ended with exit status %d before it had the job", run.AgentExit)
	r.next(
		"Check the agent's token: a wrong or expired one, or one of another cluster, does this. agent-stack-k8s doctor looks at the Secret.",
		fmt.Sprintf("Read the agent's log: kubectl -n %s logs %s -c %s", facts.Pod.Namespace, facts.Pod.Name, contract.AgentContainer),
		fmt.Sprintf("The dispatcher makes another pod by itself, up to three, and then fails the job with exit status %d.", diagnosis.ExitNeverRan))
}

// outcome says how a job ended, by Buildkite's word, or else by the exit
// statuses of its containers.
func (r *Report) outcome(facts Facts) string {
	if facts.Job != nil && facts.Job.ExitStatus != "" {
		return jobOutcome(r.Job)
	}
	for _, status := range facts.Pod.Status.ContainerStatuses {
		ended := status.State.Terminated
		if ended != nil && ended.ExitCode != 0 && roleOf(facts.Pod, status.Name) == roleJob {
			return fmt.Sprintf(": container %s ended with exit status %d", status.Name, ended.ExitCode)
		}
	}
	if facts.Pod.Status.Phase == corev1.PodFailed {
		return ": it failed"
	}
	return ": it passed"
}

func jobOutcome(job JobReport) string {
	switch {
	case job.ExitStatus == "":
		return ""
	case job.ExitStatus == "0":
		return ": it passed"
	case job.SignalReason != "":
		return fmt.Sprintf(": exit status %s, signal reason %s", job.ExitStatus, job.SignalReason)
	default:
		return ": exit status " + job.ExitStatus
	}
}

func isWithdrawn(state string) bool {
	switch state {
	case "CANCELED", "CANCELING", "EXPIRED", "SKIPPED", "BROKEN", "TIMED_OUT", "TIMING_OUT":
		return true
	default:
		return false
	}
}

func (r *Report) withdrawn(facts Facts) {
	r.State, r.Since = StateWithdrawn, facts.Job.FinishedAt
	r.Summary = map[string]string{
		"CANCELED": "was cancelled", "CANCELING": "is being cancelled", "EXPIRED": "has expired: no agent took it in time",
		"SKIPPED": "was skipped", "BROKEN": "can never run: a step that it depends on did not pass, or its condition does not hold",
		"TIMED_OUT": "ran longer than its step's timeout", "TIMING_OUT": "ran longer than its step's timeout, and is being ended",
	}[facts.Job.State]
	r.next("Nothing in the cluster: a pod that it still has is deleted. Retry the job in Buildkite if you want it to run.", r.retryHint())
}

// stackFailure is what an exit status of the dispatcher's means.
func stackFailure(job JobReport) string {
	status, err := strconv.Atoi(job.ExitStatus)
	if err != nil || job.SignalReason != "STACK_ERROR" {
		return ""
	}
	return map[int]string{
		diagnosis.ExitRejected:  "its pod cannot be made, or the cluster will not have it",
		diagnosis.ExitNeverRan:  "its pods ended several times before an agent took it, or their agent never did",
		diagnosis.ExitImage:     "an image could not be pulled",
		diagnosis.ExitImagePull: "an image could not be pulled for now: its registry does not answer, or limits how often it may be asked",
		diagnosis.ExitContainer: "a container could not be set up or started",
		diagnosis.ExitBefore:    "an init container or a sidecar failed",
		diagnosis.ExitPending:   "its containers did not start in time",
		diagnosis.ExitNode:      "the node ended its pod before it began",
		diagnosis.ExitDeadline:  "its pod got too old before it began",
	}[status]
}
