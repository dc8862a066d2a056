package dispatcher

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	// sweepInterval is the time between looks at all own pods. A look costs
	// nothing but memory reads.
	sweepInterval = 5 * time.Second
	// gatedPatience is how long a pod may keep its gate: the one who created it
	// deletes it at once, unless killed in between.
	gatedPatience = 15 * time.Second

	// A withdrawn job's pod is found by asking Buildkite, a point per pod.
	// While few wait this is done often.
	statesOften     = 5 * time.Second
	statesSeldom    = time.Minute
	fewUnstarted    = 50
	mostUnstarted   = 500
	unstartedTooNew = 5 * time.Second
)

// Reasons of deletions, for metrics.
const (
	reasonDone      = "done"
	reasonTaken     = "taken-elsewhere"
	reasonGated     = "never-injected"
	reasonWithdrawn = "job-withdrawn"
	reasonStuck     = "stuck"
)

// reaper deletes own pods that are of no use any more.
type reaper struct {
	dispatcher *Dispatcher
	asked      time.Time
	undeleted  undeleted
}

// run sweeps until the context ends.
func (r *reaper) run(ctx context.Context) {
	for {
		r.sweep(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepInterval):
		}
	}
}

// sweep looks at all own pods once.
func (r *reaper) sweep(ctx context.Context) {
	defer r.undeleted.tell(r.dispatcher.log)
	var unstarted []*PodRecord
	for _, pod := range r.dispatcher.Pods.Own() {
		if ctx.Err() != nil {
			return
		}
		age := time.Since(pod.CreationTimestamp.Time)
		switch {
		case pod.DeletionTimestamp != nil:
			r.force(ctx, pod)
		case pod.Finished:
			r.reapFinished(ctx, pod)
		case pod.Gated || !pod.Injected:
			if age > gatedPatience {
				r.remove(ctx, pod, reasonGated, true)
			}
		case pod.Started:
			r.dispatcher.podStarted(pod)
			r.withSuspect(ctx, pod)
		case !r.withTrouble(ctx, pod) && age > unstartedTooNew:
			unstarted = append(unstarted, pod)
		}
	}
	r.reapWithdrawn(ctx, unstarted)
}

func (r *reaper) reapFinished(ctx context.Context, pod *PodRecord) {
	if time.Since(pod.FinishedAt) < r.dispatcher.limits.JobTTL {
		return
	}
	reason := reasonDone
	if pod.AgentExit == exitTaken {
		reason = reasonTaken
	}
	r.remove(ctx, pod, reason, false)
}

// remove deletes a pod, unless the API server has just shown that it deletes none.
func (r *reaper) remove(ctx context.Context, pod *PodRecord, reason string, unchanged bool) {
	if r.undeleted.isOut {
		r.undeleted.count++
		return
	}
	if err := r.dispatcher.tryRemove(ctx, pod, reason, unchanged); err != nil {
		r.undeleted.note(err)
	}
}

// reapWithdrawn deletes pods whose job was cancelled, or has expired, before
// their agent acquired it: such an agent would only start to learn that.
func (r *reaper) reapWithdrawn(ctx context.Context, unstarted []*PodRecord) {
	interval := cmp.Or(r.dispatcher.limits.CancelInterval, statesOften)
	if len(unstarted) > fewUnstarted {
		interval = max(interval, statesSeldom)
	}
	if len(unstarted) == 0 || time.Since(r.asked) < interval {
		return
	}
	r.asked = time.Now()
	slices.SortFunc(unstarted, func(a, b *PodRecord) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	unstarted = unstarted[:min(len(unstarted), mostUnstarted)]
	uuids := make([]string, len(unstarted))
	for i, pod := range unstarted {
		uuids[i] = pod.JobUUID()
	}
	states, err := r.dispatcher.States.States(ctx, uuids)
	if ctx.Err() != nil {
		return
	}
	r.dispatcher.problems.report("states", err)
	if err != nil {
		r.dispatcher.metrics.apiErrors.WithLabelValues(operationStates, kindOf(err)).Inc()
	}
	for _, pod := range unstarted {
		if states[pod.JobUUID()].Withdrawn() {
			r.dispatcher.event(pod, eventWithdrawn, "the job was withdrawn before it began: "+string(states[pod.JobUUID()]))
			r.remove(ctx, pod, reasonWithdrawn, true)
		}
	}
}

// force deletes a pod that should have been gone long ago: its node does not
// answer, and nobody else would ever delete it. A job runs once, whoever still
// has it.
func (r *reaper) force(ctx context.Context, pod *PodRecord) {
	d := r.dispatcher
	if patience := d.limits.Patience.Terminating; patience == 0 || !pod.isStuck(max(patience, terminatingPatience)) {
		return
	}
	if r.undeleted.isOut {
		r.undeleted.count++
		return
	}
	err := d.Deleter.Force(ctx, pod)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		r.undeleted.note(err)
		return
	}
	d.metrics.deletions.WithLabelValues(reasonStuck).Inc()
	d.log.Warn("deleted a pod by force whose node does not answer", slog.String("pod", pod.Name))
}
