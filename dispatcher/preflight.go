package dispatcher

import (
	"context"
	"log/slog"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// preflightUUID is the job of trial pods. No such job or pod ever exists.
const preflightUUID = "00000000-0000-4000-8000-000000000000"

// preflight has the cluster answer to a pod of each queue without creating it,
// until all go through. What it finds is logged with advice and makes this
// replica unready; jobs are tried all the same. It comes back soon at first: where
// both are installed at once, the mutator is ready a few seconds after this.
func (d *Dispatcher) preflight(ctx context.Context) {
	open := d.queues
	for failures := 1; ; failures++ {
		var failed []*queue
		for _, q := range open {
			if !q.works.Load() && !d.tryQueue(ctx, q) {
				failed = append(failed, q)
			}
		}
		open = failed
		if len(open) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff(failures)):
		}
	}
}

// tryQueue reports whether a queue's pods are taken, or would be but for
// others that take up the quota.
func (d *Dispatcher) tryQueue(ctx context.Context, q *queue) bool {
	namespace := q.Pods.Namespace
	pod, errs := jobpod.Pod(jobpod.Job{UUID: preflightUUID}, q.Pods, nil)
	if len(errs) > 0 {
		// Only a job's own configuration can be wrong, and this one has none.
		panic("preflight: " + errs.ToAggregate().Error())
	}
	tried, err := d.Trial.Try(ctx, pod)
	if ctx.Err() != nil {
		return true
	}
	area := q.area(areaPreflight)
	cause := ""
	switch {
	case err != nil:
		cause = Classify(err).Cause
	case tried.Gated || !tried.Injected:
		cause, err = CauseMutatorMissing, errNotInjected
	}
	if cause == "" || cause == CauseQuota {
		d.problems.report(area, nil)
		d.log.Info("the cluster takes pods", slog.String("queue", q.name), slog.String("namespace", namespace), slog.Bool("quota_is_used_up", cause == CauseQuota))
		return true
	}
	if q.works.Load() {
		return true
	}
	d.problems.report(area, &Problem{Kind: cause, Advice: operatorAdvice(cause, namespace), Err: err})
	return false
}
