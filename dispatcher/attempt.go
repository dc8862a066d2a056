package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// maxEnded is how many pods of a job may end without running it.
const maxEnded = 3

// start takes the job in hand. What is begun is finished even if the context
// ends meanwhile: each step has a time limit of its own.
func (d *Dispatcher) start(ctx context.Context, q *queue, job jobpod.Job) {
	job.Attempt = d.holds.attempt(job.UUID)
	attempt := &attempt{job: job, queue: q, listed: time.Now()}
	d.waiting.done(job.UUID)
	d.mu.Lock()
	d.inHand[job.UUID] = attempt
	d.mu.Unlock()
	d.work.Go(func() {
		defer d.finish(job.UUID)
		select {
		case d.creating <- struct{}{}:
		case <-ctx.Done():
			return
		}
		failure := d.dispatch(context.WithoutCancel(ctx), attempt)
		<-d.creating
		if failure != nil {
			_ = d.fail(ctx, attempt, *failure)
		}
	})
}

func (d *Dispatcher) finish(uuid string) {
	d.mu.Lock()
	delete(d.inHand, uuid)
	left := len(d.inHand)
	d.mu.Unlock()
	if left < fewInHand*d.limits.Concurrency {
		select {
		case d.fewer <- struct{}{}:
		default:
		}
	}
}

// dispatch makes the job's pod and submits it. It returns why the job has to
// fail, if it has to.
func (d *Dispatcher) dispatch(ctx context.Context, attempt *attempt) *Failure {
	attempt.begun = time.Now()
	job := attempt.job
	for _, pod := range d.Pods.ForJob(job.UUID) {
		if standing := d.standingOf(pod, job.UUID); standing != standingNone {
			return d.settle(ctx, attempt, pod, standing)
		}
	}
	template, err := d.template(ctx, attempt)
	if err != nil {
		return d.refused(attempt, err)
	}
	pod, errs := jobpod.Pod(job, attempt.queue.Pods, template)
	if len(errs) > 0 {
		failure := rejectedByPod(errs)
		return &failure
	}
	created, err := d.Submitter.Submit(ctx, pod)
	if err != nil {
		d.metrics.apiErrors.WithLabelValues(operationCreate, kindOf(err)).Inc()
	}
	d.metrics.createSecond.Observe(time.Since(attempt.begun).Seconds())
	switch {
	case apierrors.IsAlreadyExists(err):
		return d.settleExisting(ctx, attempt)
	case err != nil:
		return d.refused(attempt, err)
	case created.Gated || !created.Injected:
		d.notInjected(ctx, attempt, created)
		return nil
	}
	d.Pods.Created(created)
	d.holds.release(job.UUID)
	d.platformWorks(attempt.queue)
	d.created(attempt, created)
	return nil
}

// created notes that a job has its pod.
func (d *Dispatcher) created(attempt *attempt, pod *PodRecord) {
	job, name := attempt.job, attempt.queue.name
	if !attempt.queue.works.Swap(true) {
		d.problems.report(attempt.queue.area(areaPreflight), nil)
	}
	d.count(outcomeCreated, "")
	d.metrics.created.Add(1)
	d.metrics.dispatchSeconds.WithLabelValues(name).Observe(time.Since(attempt.listed).Seconds())
	if !job.ScheduledAt.IsZero() {
		// Two clocks may disagree; no wait is negative.
		d.metrics.queueSeconds.WithLabelValues(name).Observe(max(0, time.Since(job.ScheduledAt).Seconds()))
	}
	d.notes.adopt(refOf(job))
	d.log.Info("created pod", d.jobAttributes(job, slog.String("queue", name), slog.String("pod", pod.Name))...)
}

// template reads the PodTemplate that the job names; nil if it names none, or
// none that can be, which is for Pod to say.
func (d *Dispatcher) template(ctx context.Context, attempt *attempt) (json.RawMessage, error) {
	name, errs := jobpod.TemplateName(attempt.job)
	if name == "" || len(errs) > 0 {
		return nil, nil
	}
	return d.Templates.Template(ctx, attempt.queue.Pods.Namespace, name)
}

// refused decides what the cluster's refusal means for the job.
func (d *Dispatcher) refused(attempt *attempt, err error) *Failure {
	verdict := Classify(err)
	if verdict.Platform {
		d.platformFails(attempt, verdict.Cause, err)
	} else if verdict.Cause == CauseQuota || verdict.Cause == CauseQuotaTooSmall {
		// Quotas are checked last, after the mutator and all policies.
		d.platformWorks(attempt.queue)
	}
	if verdict.Class == Never {
		failure := rejectedByCluster(verdict, err)
		return &failure
	}
	held := d.hold(attempt, verdict.Cause, err, verdict.Platform)
	if verdict.Patience > 0 && held >= d.limits.Patience.refusal(verdict) {
		failure := rejectedByCluster(verdict, err)
		return &failure
	}
	return nil
}

// notInjected takes back a pod that no mutator has seen. Its gate keeps it from
// a node, but it would never run the job either.
func (d *Dispatcher) notInjected(ctx context.Context, attempt *attempt, pod *PodRecord) {
	err := errNotInjected
	d.platformFails(attempt, CauseMutatorMissing, err)
	d.hold(attempt, CauseMutatorMissing, err, true)
	d.remove(ctx, pod, CauseMutatorMissing, false)
}

// errNotInjected is what a pod is taken back for.
var errNotInjected = errors.New("the API server took a pod as it was sent")

// operatorAdvice says what to do about a fault of the platform's in a namespace.
func operatorAdvice(cause, namespace string) string {
	if cause == CauseMutatorMissing {
		return "no mutator changes pods in namespace " + namespace + ": install it, and label the namespace " +
			contract.NamespaceLabel + "=" + contract.NamespaceEnabled + "; jobs wait meanwhile"
	}
	return diagnosis.OperatorAdvice(cause)
}

// settleExisting looks at the pod that has our name already.
func (d *Dispatcher) settleExisting(ctx context.Context, attempt *attempt) *Failure {
	uuid := attempt.job.UUID
	pod, err := d.Reader.Read(ctx, attempt.queue.Pods.Namespace, jobpod.PodName(uuid))
	if err != nil {
		// Gone again, or unreadable now: the next poll sees.
		d.hold(attempt, CauseConflict, err, false)
		return nil
	}
	return d.settle(ctx, attempt, pod, d.standingOf(pod, uuid))
}

// settle deals with a pod that exists although its job is still scheduled.
func (d *Dispatcher) settle(ctx context.Context, attempt *attempt, pod *PodRecord, standing standing) *Failure {
	switch standing {
	case standingForeign:
		err := &Problem{Kind: CauseForeignPod, Advice: "pod " + pod.Namespace + "/" + pod.Name + " has the name of this job's pod and is not ours: delete or rename it"}
		d.hold(attempt, CauseForeignPod, err, false)
		return nil
	case standingEnded:
		return d.settleEnded(ctx, attempt, pod)
	default:
		d.count(outcomeExists, "")
		return nil
	}
}

// settleEnded makes room for another pod after one that ended without running
// the job. The job was listed before its pod was seen to have ended, so its
// state is asked for again: the pod may have run it meanwhile.
func (d *Dispatcher) settleEnded(ctx context.Context, attempt *attempt, pod *PodRecord) *Failure {
	job := attempt.job
	states, err := d.States.States(ctx, []string{job.UUID})
	if state, known := states[job.UUID]; !known || state != StateScheduled {
		if err != nil {
			d.hold(attempt, CauseEndedWithoutARun, err, false)
		} else {
			d.holds.rest(job.UUID, outcomeTaken, backoffMost)
		}
		return nil
	}
	if trouble := pod.Trouble; trouble != nil && trouble.Permanent && !trouble.Platform {
		// Another pod would end the same way.
		details, _ := d.detailsOf(ctx, pod)
		failure := failureFrom(trouble, details)
		return &failure
	}
	ended := d.holds.ended(job.UUID, pod.Attempt)
	d.log.Warn("pod ended without running its job", d.jobAttributes(job,
		slog.String("pod", pod.Name), slog.Int("agent_status", int(pod.AgentExit)), slog.Int("attempts", ended))...)
	if ended >= maxEnded {
		failure := neverRan(ended, pod, d.agentLog(ctx, pod))
		return &failure
	}
	d.remove(ctx, pod, CauseEndedWithoutARun, false)
	d.hold(attempt, CauseEndedWithoutARun, nil, false)
	return nil
}
