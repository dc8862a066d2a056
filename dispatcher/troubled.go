package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

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
	if q := d.queueOf(pod); q.surges.note(trouble, pod.JobUUID()) {
		// It may be every job's trouble: one pod at a time from now on.
		q.starts.trip(pod.CreationTimestamp.Time)
		d.problems.report(q.area(areaPods), &Problem{Kind: trouble.Cause, Advice: "several jobs in a minute failed alike: " + trouble.Message})
	}
	d.giveUp(ctx, pod, failureFrom(trouble, details))
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
		return "The end of its log:\n" + d.Redact(log), false
	default:
		return "", false
	}
}

// agentLog returns the end of a pod's agent's log, or "".
func (d *Dispatcher) agentLog(ctx context.Context, pod *PodRecord) string {
	log, err := d.Details.LogTail(ctx, pod, contract.AgentContainer)
	if err != nil {
		d.log.Debug("the log of an agent could not be read", slog.String("pod", pod.Name), slog.Any("error", err))
		return ""
	}
	if log == "" {
		return ""
	}
	return "The end of the agent's log:\n" + d.Redact(log)
}

// withSuspect fails a job that is still scheduled although its pod's containers
// have long started: its agent cannot reach Buildkite, or hangs.
func (r *reaper) withSuspect(ctx context.Context, pod *PodRecord) {
	d, uuid := r.dispatcher, pod.JobUUID()
	if !d.suspects.take(uuid) || d.busyWith(uuid) {
		return
	}
	states, _ := d.States.States(ctx, []string{uuid})
	if states[uuid] != StateScheduled {
		return
	}
	trouble := &Trouble{Cause: CauseAgentSilent, Container: contract.AgentContainer}
	d.giveUp(ctx, pod, failureFrom(trouble, d.agentLog(ctx, pod)))
}

// platformTrouble takes back a pod that something of the platform's keeps from
// starting, and holds its job: any other pod would fare the same.
func (d *Dispatcher) platformTrouble(ctx context.Context, pod *PodRecord) {
	trouble := pod.Trouble
	err := &Problem{
		Kind:   trouble.Cause,
		Advice: "pod " + pod.Name + " cannot start because of its injected container " + trouble.Container + " (" + trouble.Image + "): " + trouble.Message,
	}
	q := d.queueOf(pod)
	q.starts.trip(pod.CreationTimestamp.Time)
	d.problems.report(q.area(areaPods), err)
	d.hold(&attempt{job: pod.Job(), queue: q}, trouble.Cause, err, true)
	d.event(pod, eventTakenBack, err.Advice)
	d.remove(ctx, pod, trouble.Cause, true)
}

// podStarted ends the stop for the platform's troubles if the pod is younger: it
// went through what others failed at.
func (d *Dispatcher) podStarted(pod *PodRecord) {
	q := d.queueOf(pod)
	if q.starts.probing() && q.starts.trippedBefore(pod.CreationTimestamp.Time) && q.starts.reset() {
		d.problems.report(q.area(areaPods), nil)
	}
}

// giveUp fails a pod's job before the pod has begun it, and then deletes the
// pod. Whoever acquires the job first, this program or the pod's agent, has it.
func (d *Dispatcher) giveUp(ctx context.Context, pod *PodRecord, failure Failure) {
	job := pod.Job()
	attempt := &attempt{job: job, queue: d.queueOf(pod), fails: true}
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
			d.event(pod, eventGivenUp, failure.Advice)
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
