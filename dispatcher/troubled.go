package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Patience bounds how long a pod may stay in trouble before its job fails.
type Patience struct {
	// Permanent is for what waiting does not mend: time for a Secret or an image
	// that is created together with the job. Default 30 s.
	Permanent time.Duration
	// Pending is for everything else. Default 15 minutes.
	Pending time.Duration
	// Pulling is for a pod whose images are being pulled without an error.
	// Default an hour.
	Pulling time.Duration
}

// DefaultPatience is what people expect of a dispatcher.
var DefaultPatience = Patience{Permanent: 30 * time.Second, Pending: 15 * time.Minute, Pulling: time.Hour}

// withTrouble deals with a pod that has not started, and reports whether it is
// done with.
func (r *reaper) withTrouble(ctx context.Context, pod *PodRecord) bool {
	d, trouble := r.dispatcher, pod.Trouble
	if trouble == nil || d.busyWith(pod.JobUUID()) {
		return false
	}
	patience := d.limits.Patience.Pending
	if trouble.Permanent {
		patience = d.limits.Patience.Permanent
	}
	waited := time.Since(trouble.Since)
	if waited < patience {
		return false
	}
	details, isPulling := d.detailsOf(ctx, pod)
	if isPulling && waited < d.limits.Patience.Pulling {
		return false
	}
	if trouble.Platform {
		d.platformTrouble(ctx, pod)
		return true
	}
	if d.surges.note(trouble, pod.JobUUID()) {
		// It may be every job's trouble: one pod at a time from now on.
		d.starts.trip(pod.CreationTimestamp.Time)
		d.problems.report("pods", &Problem{Kind: trouble.Cause, Advice: "several jobs in a minute failed alike: " + trouble.Message})
	}
	d.giveUp(ctx, pod, trouble.failure(details))
	return true
}

// busyWith reports whether the job is being dispatched or failed, or rests.
func (d *Dispatcher) busyWith(uuid string) bool {
	d.mu.Lock()
	_, inHand := d.inHand[uuid]
	d.mu.Unlock()
	return inHand || d.holds.holding(uuid)
}

// detailsOf asks the cluster what else is known of a pod in trouble. A pod
// whose image is being pulled is in none.
func (d *Dispatcher) detailsOf(ctx context.Context, pod *PodRecord) (details string, isPulling bool) {
	trouble := pod.Trouble
	switch trouble.Cause {
	case CausePending, CauseContainerConfig, CauseContainerCreate:
		events, err := d.Details.Events(ctx, pod)
		if err != nil {
			d.log.Debug("events of a pod could not be read", slog.String("pod", pod.Name), slog.Any("error", err))
			return "", false
		}
		return events.Text(), trouble.Cause == CausePending && events.Pulling()
	case CauseInitFailed, CauseServiceFailed:
		log, err := d.Details.LogTail(ctx, pod, trouble.Container)
		if err != nil {
			d.log.Debug("the log of a container could not be read", slog.String("pod", pod.Name), slog.Any("error", err))
			return "", false
		}
		return "The end of its log:\n" + log, false
	default:
		return "", false
	}
}

// platformTrouble takes back a pod that something of the platform's keeps from
// starting, and holds its job: any other pod would fare the same.
func (d *Dispatcher) platformTrouble(ctx context.Context, pod *PodRecord) {
	trouble := pod.Trouble
	err := &Problem{
		Kind:   trouble.Cause,
		Advice: "pod " + pod.Name + " cannot start because of its injected container " + trouble.Container + " (" + trouble.Image + "): " + trouble.Message,
	}
	d.starts.trip(pod.CreationTimestamp.Time)
	d.problems.report("pods", err)
	d.hold(pod.Job(), trouble.Cause, err, true)
	d.remove(ctx, pod, trouble.Cause, true)
}

// podStarted ends the stop for the platform's troubles if the pod is younger: it
// went through what others failed at.
func (d *Dispatcher) podStarted(pod *PodRecord) {
	if d.starts.probing() && d.starts.trippedBefore(pod.CreationTimestamp.Time) && d.starts.reset() {
		d.problems.report("pods", nil)
	}
}

// giveUp fails a pod's job before the pod has begun it, and then deletes the
// pod. Whoever acquires the job first, this program or the pod's agent, has it.
func (d *Dispatcher) giveUp(ctx context.Context, pod *PodRecord, failure Failure) {
	job := pod.Job()
	attempt := &attempt{job: job, fails: true}
	d.mu.Lock()
	if d.inHand[job.UUID] != nil {
		d.mu.Unlock()
		return
	}
	d.inHand[job.UUID] = attempt
	d.mu.Unlock()
	d.work.Go(func() {
		defer d.finish(job.UUID)
		err := d.fail(ctx, attempt, failure)
		ctx := context.WithoutCancel(ctx)
		switch {
		case err == nil:
			d.remove(ctx, pod, failure.Cause, false)
		case errors.Is(err, ErrJobTaken) && d.isOver(ctx, job.UUID):
			// Failed by a leader that did not get to delete the pod.
			d.remove(ctx, pod, failure.Cause, true)
		}
	})
}

// isOver reports whether a job has ended, so that no pod runs it.
func (d *Dispatcher) isOver(ctx context.Context, uuid string) bool {
	states, _ := d.States.States(ctx, []string{uuid})
	state, known := states[uuid]
	return known && (state.Withdrawn() || state == StateFinished)
}
