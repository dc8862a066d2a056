package dispatcher

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// exitCompatible is the only status of jobs that the existing product fails.
const exitCompatible = -1

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
		failure := failureFrom(last.Trouble, "")
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

// failureFrom is that of a job whose pod cannot run it. The details are
// what else the cluster has to say: events, the end of a log.
func failureFrom(t *Trouble, details string) Failure {
	original := t.Message
	if details != "" {
		original = strings.TrimSpace(original + "\n\n" + details)
	}
	return Failure{ExitStatus: t.ExitStatus(), Cause: t.Cause, Advice: t.Advice(), Original: original}
}

// innermost returns the server's own error, without what our code put before.
func innermost(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
