package dispatcher

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Exit statuses of jobs that the dispatcher fails. All lie in 193 to 223, which
// neither shells nor signals use, so that a step's retry rules can tell them
// from the job's own. Their signal reason is StackErrorReason.
const (
	// ExitRejected: the job's pod cannot be made, or the cluster will not have
	// it. Somebody has to change something first; retrying does not help.
	ExitRejected = 193
	// ExitNeverRan: pods of the job ended several times without running it, or
	// their agent never took it.
	ExitNeverRan = 194
	// ExitImage: an image could not be pulled.
	ExitImage = 195
	// ExitContainer: a container could not be set up or started.
	ExitContainer = 196
	// ExitBefore: an init container or a sidecar failed, before the job.
	ExitBefore = 197
	// ExitPending: the pod's containers did not start in time.
	ExitPending = 198
	// ExitNode: the node ended the pod before the job began. Retrying helps.
	ExitNode = 199
	// ExitDeadline: the pod got too old before the job began.
	ExitDeadline = 200
)

// exitStatuses are those of troubles with a pod, by cause.
var exitStatuses = map[string]int{
	CauseImageName:       ExitImage,
	CauseImageMissing:    ExitImage,
	CauseImageForbidden:  ExitImage,
	CauseImageLimit:      ExitImage,
	CauseImagePull:       ExitImage,
	CauseContainerConfig: ExitContainer,
	CauseContainerCreate: ExitContainer,
	CauseInitFailed:      ExitBefore,
	CauseServiceFailed:   ExitBefore,
	CauseUnschedulable:   ExitPending,
	CausePending:         ExitPending,
	CauseEvicted:         ExitNode,
	CausePreempted:       ExitNode,
	CauseNodeLost:        ExitNode,
	CauseNodeShutdown:    ExitNode,
	CauseNodeRefused:     ExitNode,
	CauseDeadline:        ExitDeadline,
	CauseAgentSilent:     ExitNeverRan,
}

// exitCompatible is the only status of jobs that the existing product fails.
const exitCompatible = -1

// StackErrorReason is the signal reason of every job that the dispatcher
// fails.
const StackErrorReason = "stack_error"

// maxOriginalBytes bounds what is quoted of a server's answer.
const maxOriginalBytes = 8 << 10

// Failure is why a job cannot run, in words for the pipeline's author.
type Failure struct {
	// ExitStatus is the job's exit status, one of the Exit constants.
	ExitStatus int
	// Cause is a short code for metrics.
	Cause string
	// Advice comes first: what to change.
	Advice string
	// Original is the sentence of whoever refused, if any.
	Original string
}

// Log returns the job's log: what to change, then the original sentence, once
// with the author's paths.
func (f Failure) Log() string {
	var log strings.Builder
	fmt.Fprintf(&log, "+++ This job could not be run on Kubernetes\n%s\n", f.Advice)
	if f.Original != "" {
		fmt.Fprintf(&log, "\nThe answer was:\n  %s\n", strings.ReplaceAll(limit(f.Original), "\n", "\n  "))
	}
	fmt.Fprintf(&log, "\nExit status %d with signal reason %s means that no command of the job ran.\n", f.ExitStatus, StackErrorReason)
	return log.String()
}

func limit(text string) string {
	if len(text) <= maxOriginalBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxOriginalBytes], "") + " …"
}

// rejectedByPod is the failure of a job whose pod cannot be made.
func rejectedByPod(errs field.ErrorList) Failure {
	lines := make([]string, len(errs))
	for i, err := range errs {
		lines[i] = "Correct " + err.Field + ": " + err.ErrorBody()
	}
	return Failure{ExitStatus: ExitRejected, Cause: CauseInvalid, Advice: strings.Join(lines, "\n")}
}

// rejectedByCluster is the failure of a job whose pod the cluster refused.
func rejectedByCluster(verdict Verdict, err error) Failure {
	return Failure{ExitStatus: ExitRejected, Cause: verdict.Cause, Advice: verdict.Advice, Original: innermost(err).Error()}
}

// neverRan is the failure of a job whose pods ended without running it. A last
// pod that came into trouble says why.
// The log is the end of the last agent's, if there is one.
func neverRan(attempts int, last *PodRecord, log string) Failure {
	if last.Trouble != nil {
		failure := last.Trouble.failure("")
		failure.Advice += fmt.Sprintf(" (It was the last of %d pods of this job.)", attempts)
		return failure
	}
	return Failure{
		ExitStatus: ExitNeverRan,
		Cause:      CauseEndedWithoutARun,
		Advice: fmt.Sprintf("Ask the cluster's operators: %d pods of this job ended before an agent took it. "+
			"The last agent's exit status was %d. A wrong or expired agent token, or one of another cluster, does this.", attempts, last.AgentExit),
		Original: log,
	}
}

// failure is that of a job whose pod cannot run it. The details are
// what else the cluster has to say: events, the end of a log.
func (t *Trouble) failure(details string) Failure {
	original := t.Message
	if details != "" {
		original = strings.TrimSpace(original + "\n\n" + details)
	}
	return Failure{ExitStatus: exitStatuses[t.Cause], Cause: t.Cause, Advice: t.advice(), Original: original}
}

// innermost returns the server's own error, without what our code put before.
func innermost(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
