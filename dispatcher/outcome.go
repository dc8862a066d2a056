package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

const (
	// reportedRest covers a listing that is older than the job's end.
	reportedRest = time.Minute
	// tokenlessRest is how long a job waits that cannot be failed.
	tokenlessRest = 10 * time.Minute
	// sharedRest is how long a job is left to other clusters that serve its
	// queue.
	sharedRest = 10 * time.Minute
)

// fail ends the job with the reason. The job takes no capacity meanwhile. The
// error is the Failer's; all that follows from it but for the job's pod is done.
func (d *Dispatcher) fail(ctx context.Context, attempt *attempt, failure Failure) error {
	d.mu.Lock()
	attempt.fails = true
	d.mu.Unlock()
	if d.limits.SharedQueues && isClusters(failure.Cause) {
		d.leaveToOthers(attempt, failure)
		return nil
	}
	if d.limits.CompatibleStatus {
		failure.ExitStatus = exitCompatible
	}
	select {
	case d.failing <- struct{}{}:
		defer func() { <-d.failing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	job := attempt.job
	err := attempt.queue.Failer.Fail(context.WithoutCancel(ctx), job, failure)
	switch {
	case err == nil:
		d.holds.rest(job.UUID, failure.Cause, reportedRest)
		d.count(outcomeFailed, failure.Cause)
		d.log.Warn("failed job", d.jobAttributes(job, slog.String("cause", failure.Cause), slog.Int("exit_status", failure.ExitStatus))...)
	case errors.Is(err, ErrJobTaken):
		d.holds.rest(job.UUID, outcomeTaken, reportedRest)
		d.count(outcomeTaken, failure.Cause)
		d.log.Info("job is taken", d.jobAttributes(job, slog.String("cause", failure.Cause))...)
	case errors.Is(err, ErrNoAgentToken):
		d.holds.rest(job.UUID, CauseFailureUnreported, tokenlessRest)
		d.count(outcomeHeld, CauseFailureUnreported)
		d.log.Error("cannot fail a job without an agent token: set --agent-token-file",
			d.jobAttributes(job, slog.String("cause", failure.Cause), slog.String("advice", failure.Advice))...)
	default:
		d.metrics.apiErrors.WithLabelValues(operationFail, kindOf(err)).Inc()
		d.hold(attempt, CauseFailureUnreported, err, false)
	}
	return err
}

// leaveToOthers keeps a job scheduled that another cluster may be able to run.
func (d *Dispatcher) leaveToOthers(attempt *attempt, failure Failure) {
	d.holds.leave(attempt.queue, refOf(attempt.job), failure.Cause, sharedRest)
	d.count(outcomeHeld, failure.Cause)
	d.log.Warn("left job to other clusters", d.jobAttributes(attempt.job,
		slog.String("queue", attempt.queue.name), slog.String("cause", failure.Cause), slog.String("advice", failure.Advice))...)
}

// hold makes the job wait, and returns for how long it has been held for this
// cause. The first time is worth a line, unless the platform's problem has one
// for all jobs.
func (d *Dispatcher) hold(attempt *attempt, cause string, err error, isPlatform bool) time.Duration {
	words := ""
	if !isPlatform {
		words = wordsOf(err)
	}
	held, isNew := d.holds.hold(attempt.queue, refOf(attempt.job), cause, words)
	d.count(outcomeHeld, cause)
	attributes := d.jobAttributes(attempt.job, slog.String("queue", attempt.queue.name), slog.String("cause", cause), slog.Duration("held", held.Round(time.Second)))
	if err != nil {
		attributes = append(attributes, slog.Any("error", err))
	}
	if isNew && !isPlatform {
		d.log.Warn("held job", attributes...)
	} else {
		d.log.Debug("held job", attributes...)
	}
	return held
}

// wordsOf is what the API server said, or "".
func wordsOf(err error) string {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return status.Status().Message
	}
	return ""
}

// platformFails stops dispatch for a fault that is no job's.
func (d *Dispatcher) platformFails(attempt *attempt, cause string, err error) {
	attempt.queue.breaker.trip(attempt.begun)
	d.problems.report(attempt.queue.area(areaCluster), &Problem{Kind: cause, Advice: operatorAdvice(cause, attempt.queue.Pods.Namespace), Err: err})
}

// platformWorks ends such a stop.
func (d *Dispatcher) platformWorks(q *queue) {
	if q.breaker.reset() {
		d.problems.report(q.area(areaCluster), nil)
	}
}

// remove deletes a pod and counts it.
func (d *Dispatcher) remove(ctx context.Context, pod *PodRecord, reason string, unchanged bool) {
	if err := d.tryRemove(ctx, pod, reason, unchanged); err != nil {
		d.log.Warn("pod could not be deleted", slog.String("pod", pod.Name), slog.String("reason", reason), slog.Any("error", err))
	}
}

// tryRemove deletes a pod and counts it. A pod that is gone, replaced, or changed
// if that matters, is left to whoever looks next, and no error.
func (d *Dispatcher) tryRemove(ctx context.Context, pod *PodRecord, reason string, unchanged bool) error {
	err := d.Deleter.Delete(ctx, pod, unchanged)
	switch {
	case err == nil:
		d.metrics.deletions.WithLabelValues(reason).Inc()
		d.log.Info("deleted pod", slog.String("pod", pod.Name), slog.String("reason", reason))
		return nil
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		d.log.Debug("pod changed before it was deleted", slog.String("pod", pod.Name), slog.String("reason", reason))
		return nil
	default:
		d.metrics.apiErrors.WithLabelValues(operationDelete, kindOf(err)).Inc()
		return err
	}
}

func (d *Dispatcher) count(outcome, cause string) {
	d.metrics.attempts.WithLabelValues(outcome, cause).Inc()
}

// jobAttributes names a job in logs, and never more than names it.
func (d *Dispatcher) jobAttributes(job jobpod.Job, more ...slog.Attr) []any {
	attributes := []any{slog.String("job", job.UUID), slog.String("url", job.URL), slog.String("build", job.Lookup(buildURLVariable))}
	for _, attribute := range more {
		attributes = append(attributes, attribute)
	}
	return attributes
}
