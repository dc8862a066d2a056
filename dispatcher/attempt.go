package dispatcher

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// maxEnded is how many pods of a job may end without running it.
const maxEnded = 3

// start takes the job in hand. What is begun is finished even if the context
// ends meanwhile: each step has a time limit of its own.
func (d *Dispatcher) start(ctx context.Context, job jobpod.Job) {
	attempt := &attempt{job: job}
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
	defer d.mu.Unlock()
	delete(d.inHand, uuid)
}

// dispatch makes the job's pod and submits it. It returns why the job has to
// fail, if it has to.
func (d *Dispatcher) dispatch(ctx context.Context, attempt *attempt) *Failure {
	attempt.begun = time.Now()
	job := attempt.job
	for _, pod := range d.Pods.ForJob(job.UUID) {
		if standing := standingOf(pod, job.UUID, d.settings.ControllerID); standing != standingNone {
			return d.settle(ctx, job, pod, standing)
		}
	}
	template, err := d.template(ctx, job)
	if err != nil {
		return d.refused(attempt, err)
	}
	pod, errs := jobpod.Pod(job, d.settings, template)
	if len(errs) > 0 {
		failure := rejectedByPod(errs)
		return &failure
	}
	created, err := d.Submitter.Submit(ctx, pod)
	d.metrics.createSecond.Observe(time.Since(attempt.begun).Seconds())
	switch {
	case apierrors.IsAlreadyExists(err):
		return d.settleExisting(ctx, job)
	case err != nil:
		return d.refused(attempt, err)
	case created.Gated || !created.Injected:
		d.notInjected(ctx, attempt, created)
		return nil
	}
	d.Pods.Created(created)
	d.holds.release(job.UUID)
	d.platformWorks()
	d.count(outcomeCreated, "")
	d.log.Info("created pod", d.jobAttributes(job, slog.String("pod", created.Name))...)
	return nil
}

// template reads the PodTemplate that the job names; nil if it names none, or
// none that can be, which is for Pod to say.
func (d *Dispatcher) template(ctx context.Context, job jobpod.Job) (json.RawMessage, error) {
	name, errs := jobpod.TemplateName(job)
	if name == "" || len(errs) > 0 {
		return nil, nil
	}
	return d.Templates.Template(ctx, d.settings.Namespace, name)
}

// refused decides what the cluster's refusal means for the job.
func (d *Dispatcher) refused(attempt *attempt, err error) *Failure {
	verdict := Classify(err)
	if verdict.Cause == CauseMutatorMissing {
		err = fmt.Errorf("%w: %w", d.mutatorMissing(), err)
	}
	if verdict.Platform {
		d.platformFails(attempt, verdict.Cause, err)
	} else if verdict.Cause == CauseQuota || verdict.Cause == CauseQuotaTooSmall {
		// Quotas are checked last, after the mutator and all policies.
		d.platformWorks()
	}
	if verdict.Class == Never {
		failure := rejectedByCluster(verdict, err)
		return &failure
	}
	held := d.hold(attempt.job, verdict.Cause, err, verdict.Platform)
	if verdict.Patience > 0 && held >= verdict.Patience {
		failure := rejectedByCluster(verdict, err)
		return &failure
	}
	return nil
}

// notInjected takes back a pod that no mutator has seen. Its gate keeps it from
// a node, but it would never run the job either.
func (d *Dispatcher) notInjected(ctx context.Context, attempt *attempt, pod *PodRecord) {
	err := d.mutatorMissing()
	d.platformFails(attempt, CauseMutatorMissing, err)
	d.hold(attempt.job, CauseMutatorMissing, err, true)
	d.remove(ctx, pod, CauseMutatorMissing, false)
}

func (d *Dispatcher) mutatorMissing() error {
	return &Problem{
		Kind: CauseMutatorMissing,
		Advice: "no mutator changes pods in namespace " + d.settings.Namespace + ": install it, and label the namespace " +
			contract.NamespaceLabel + "=" + contract.NamespaceEnabled + "; jobs wait meanwhile",
	}
}

// settleExisting looks at the pod that has our name already.
func (d *Dispatcher) settleExisting(ctx context.Context, job jobpod.Job) *Failure {
	pod, err := d.Reader.Read(ctx, d.settings.Namespace, jobpod.PodName(job.UUID))
	if err != nil {
		// Gone again, or unreadable now: the next poll sees.
		d.hold(job, CauseConflict, err, false)
		return nil
	}
	return d.settle(ctx, job, pod, standingOf(pod, job.UUID, d.settings.ControllerID))
}

// settle deals with a pod that exists although its job is still scheduled.
func (d *Dispatcher) settle(ctx context.Context, job jobpod.Job, pod *PodRecord, standing standing) *Failure {
	switch standing {
	case standingForeign:
		err := &Problem{Kind: CauseForeignPod, Advice: "pod " + pod.Namespace + "/" + pod.Name + " has the name of this job's pod and is not ours: delete or rename it"}
		d.hold(job, CauseForeignPod, err, false)
		return nil
	case standingEnded:
		return d.settleEnded(ctx, job, pod)
	default:
		d.count(outcomeExists, "")
		return nil
	}
}

// settleEnded makes room for another pod after one that ended without running
// the job. The job was listed before its pod was seen to have ended, so its
// state is asked for again: the pod may have run it meanwhile.
func (d *Dispatcher) settleEnded(ctx context.Context, job jobpod.Job, pod *PodRecord) *Failure {
	states, err := d.States.States(ctx, []string{job.UUID})
	if state, known := states[job.UUID]; !known || state != StateScheduled {
		if err != nil {
			d.hold(job, CauseEndedWithoutARun, err, false)
		} else {
			d.holds.rest(job.UUID, outcomeTaken, backoffMost)
		}
		return nil
	}
	if trouble := pod.Trouble; trouble != nil && trouble.Permanent && !trouble.Platform {
		// Another pod would end the same way.
		details, _ := d.detailsOf(ctx, pod)
		failure := trouble.failure(details)
		return &failure
	}
	ended := d.holds.ended(job.UUID)
	d.log.Warn("pod ended without running its job", d.jobAttributes(job,
		slog.String("pod", pod.Name), slog.Int("agent_status", int(pod.AgentExit)), slog.Int("attempts", ended))...)
	if ended >= maxEnded {
		failure := neverRan(ended, pod)
		return &failure
	}
	d.remove(ctx, pod, CauseEndedWithoutARun, false)
	d.hold(job, CauseEndedWithoutARun, nil, false)
	return nil
}
