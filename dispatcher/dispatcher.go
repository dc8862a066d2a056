package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

const (
	// maxInHand bounds the jobs between listing and answer when pods in flight
	// are not limited.
	maxInHand = 1000
	// maxFailing bounds the jobs that are being failed at the same time.
	maxFailing = 8
	// unlimited stands for no limit of pods in flight.
	unlimited = 1 << 30
)

// Pods is what the dispatcher knows of pods without asking the cluster.
type Pods interface {
	// ForJob returns the pods that carry the job's UUID.
	ForJob(uuid string) []*PodRecord
	// Own returns the dispatcher's own pods.
	Own() []*PodRecord
	// InFlight counts own pods whose agent has not ended.
	InFlight() int
	// Created is told of a pod before the cluster's events tell of it.
	Created(pod *PodRecord)
}

// Limits bound what a dispatcher does at a time. Zero values mean no limit for
// MaxInFlight and are not valid for the others.
type Limits struct {
	// MaxInFlight is the most pods whose agent has not ended.
	MaxInFlight int
	// Concurrency is the most pods being created at once.
	Concurrency int
	// PollInterval is the time between polls of Buildkite.
	PollInterval time.Duration
	// JobTTL is how long a finished pod is kept.
	JobTTL time.Duration
	// Patience is how long pods may be in trouble.
	Patience Patience
}

// Parts are what a Dispatcher is put together from.
type Parts struct {
	Source    Source
	States    JobStates
	Failer    Failer
	Submitter Submitter
	Reader    PodReader
	Deleter   PodDeleter
	Templates TemplateReader
	Details   PodDetails
	Pods      Pods
}

// Dispatcher gives scheduled jobs their pods. Make it with newDispatcher.
type Dispatcher struct {
	Parts
	settings jobpod.PodSettings
	limits   Limits
	log      *slog.Logger
	metrics  *metrics
	problems *problems
	// beat is called each time the loop comes round.
	beat func()

	holds    *holds
	// breaker is about the creation of pods, starts about their start.
	breaker  breaker
	starts   breaker
	surges   surges
	creating chan struct{}
	failing  chan struct{}

	work   sync.WaitGroup
	mu     sync.Mutex
	inHand map[string]*attempt
}

// attempt is a job between its listing and the answer to its pod's creation,
// or to its failure.
type attempt struct {
	job jobpod.Job
	// begun is when the creation began.
	begun time.Time
	// fails is set once the job is being failed; it then takes no capacity.
	fails bool
}

func newDispatcher(parts Parts, settings jobpod.PodSettings, limits Limits, log *slog.Logger, metrics *metrics, problems *problems) *Dispatcher {
	metrics.maxInFlight.Set(float64(limits.MaxInFlight))
	return &Dispatcher{
		Parts: parts, settings: settings, limits: limits, log: log, metrics: metrics, problems: problems,
		beat:     func() {},
		holds:    newHolds(),
		creating: make(chan struct{}, limits.Concurrency),
		failing:  make(chan struct{}, maxFailing),
		inHand:   map[string]*attempt{},
	}
}

// run polls until the context ends, and returns once what was in hand is done.
func (d *Dispatcher) run(ctx context.Context) {
	defer d.work.Wait()
	failures := 0
	for {
		d.beat()
		pause := d.limits.PollInterval
		if err := d.poll(ctx); err != nil {
			failures++
			pause = max(pause, backoff(failures), retryAfter(err))
		} else {
			failures = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func retryAfter(err error) time.Duration {
	if problem, isProblem := errors.AsType[*Problem](err); isProblem {
		return problem.RetryAfter
	}
	return 0
}

// poll lists jobs, if there is room for any, and starts on as many as fit.
func (d *Dispatcher) poll(ctx context.Context) error {
	d.metrics.held.Set(float64(d.holds.forget()))
	room := d.room()
	if room <= 0 {
		return nil
	}
	begun := time.Now()
	jobs, err := d.Source.Scheduled(ctx, d.known)
	d.metrics.pollSeconds.Observe(time.Since(begun).Seconds())
	if ctx.Err() != nil {
		return err
	}
	d.notePoll(err)
	slices.SortFunc(jobs, jobpod.CompareJobs)
	if d.breaker.probing() {
		// Probes take turns, or one job that alone upsets a webhook would be
		// the probe for ever and stop the queue.
		slices.SortStableFunc(jobs, func(a, b jobpod.Job) int {
			return d.holds.lastTried(a.UUID).Compare(d.holds.lastTried(b.UUID))
		})
	}
	for _, job := range jobs {
		if room == 0 {
			break
		}
		if d.settings.Tags.Accept(job.Rules) && !d.known(job.UUID) {
			d.start(ctx, job)
			room--
		}
	}
	return err
}

func (d *Dispatcher) notePoll(err error) {
	result := "ok"
	if err != nil {
		result = problemKind(err)
	}
	d.metrics.polls.WithLabelValues(result).Inc()
	d.problems.report("source", err)
}

// room returns how many more jobs may be started now.
func (d *Dispatcher) room() int {
	inHand := d.countInHand()
	inFlight := d.Pods.InFlight() + inHand
	d.metrics.inFlight.Set(float64(inFlight))
	limit := unlimited
	if d.limits.MaxInFlight > 0 {
		limit = d.limits.MaxInFlight
	}
	room := d.breaker.allowance(min(limit-inFlight, maxInHand-inHand), inHand)
	if !d.starts.probing() {
		return room
	}
	return d.starts.allowance(room, inHand+d.countProbes())
}

func (d *Dispatcher) countInHand() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	count := 0
	for _, attempt := range d.inHand {
		if !attempt.fails {
			count++
		}
	}
	return count
}

// countProbes counts own pods that were created to see whether pods start again,
// and of which it is not known yet.
func (d *Dispatcher) countProbes() int {
	count := 0
	for _, pod := range d.Pods.Own() {
		if !pod.Started && !pod.Finished && d.starts.trippedBefore(pod.CreationTimestamp.Time) {
			count++
		}
	}
	return count
}

// known reports whether there is nothing to do for a scheduled job now: it is
// in hand, waits, or has a pod that will run it, is going, or was refused it.
func (d *Dispatcher) known(uuid string) bool {
	d.mu.Lock()
	_, inHand := d.inHand[uuid]
	d.mu.Unlock()
	if inHand || d.holds.holding(uuid) {
		return true
	}
	for _, pod := range d.Pods.ForJob(uuid) {
		switch standingOf(pod, uuid, d.settings.ControllerID) {
		case standingLive, standingTerminating, standingTaken:
			return true
		}
	}
	return false
}
