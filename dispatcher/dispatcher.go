package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/tools/record"

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
	// fewInHand is how many jobs for each pod being created at once are in hand when
	// more are asked for, if it is known that there are more: as many as are created
	// while Buildkite answers.
	fewInHand = 10
	// fullInterval is the time between polls while no pod fits.
	fullInterval = 30 * time.Second
	// allQueues stands for all queues together as a label.
	allQueues = ""
)

// Pods is what the dispatcher knows of pods without asking the cluster.
type Pods interface {
	// ForJob returns the pods that carry the job's UUID.
	ForJob(uuid string) []*PodRecord
	// Own returns the dispatcher's own pods.
	Own() []*PodRecord
	// Lost returns those of them that have lost their jobs since it was last
	// asked, whether they still exist or not.
	Lost() []*PodRecord
	// Created is told of a pod before the cluster's events tell of it.
	Created(pod *PodRecord)
}

// Parts are what a Dispatcher is put together from.
type Parts struct {
	Source    Source
	States    JobStates
	Submitter Submitter
	Trial     Trial
	Reader    PodReader
	Deleter   PodDeleter
	Templates TemplateReader
	Details   PodDetails
	Pods      Pods
	// Annotator may be nil: then builds get no annotations.
	Annotator Annotator
	// Events may be nil: then pods get none from here.
	Events record.EventRecorder
	// Redact takes secrets out of logs of the platform's containers.
	Redact func(text string) string
}

// Dispatcher gives scheduled jobs their pods. Make it with newDispatcher.
type Dispatcher struct {
	Parts
	queues   []*queue
	limits   Limits
	log      *slog.Logger
	metrics  *metrics
	problems *problems
	// beat is called each time the loop comes round.
	beat func()

	holds    *holds
	waiting  *waiting
	suspects *suspects
	notes    *notes
	creating chan struct{}
	failing  chan struct{}
	// fewer tells the loop that few jobs are in hand.
	fewer chan struct{}
	// turn is the queue whose turn it is next, looked is when jobs were last
	// listed. Only the loop uses them.
	turn   int
	looked time.Time

	work   sync.WaitGroup
	mu     sync.Mutex
	inHand map[string]*attempt
}

// attempt is a job between its listing and the answer to its pod's creation,
// or to its failure.
type attempt struct {
	job   jobpod.Job
	queue *queue
	// listed is when the job was taken in hand, begun is when the creation began.
	listed time.Time
	begun  time.Time
	// fails is set once the job is being failed; it then takes no capacity.
	fails bool
}

func newDispatcher(parts Parts, queues []Queue, limits Limits, log *slog.Logger, metrics *metrics, problems *problems) *Dispatcher {
	d := &Dispatcher{
		Parts: parts, queues: newQueues(queues), limits: limits, log: log, metrics: metrics, problems: problems,
		beat:     func() {},
		holds:    newHolds(),
		waiting:  newWaiting(),
		suspects: newSuspects(),
		creating: make(chan struct{}, limits.Concurrency),
		failing:  make(chan struct{}, maxFailing),
		fewer:    make(chan struct{}, 1),
		inHand:   map[string]*attempt{},
	}
	if d.Redact == nil {
		d.Redact = newRedactor(nil)
	}
	d.notes = newNotes(d)
	metrics.maxInFlight.WithLabelValues(allQueues).Set(float64(limits.MaxInFlight))
	for _, q := range d.queues {
		metrics.maxInFlight.WithLabelValues(q.name).Set(float64(q.MaxInFlight))
	}
	return d
}

// run polls until the context ends, and returns once what was in hand is done.
func (d *Dispatcher) run(ctx context.Context) {
	defer d.work.Wait()
	failures := 0
	for {
		d.beat()
		pause := d.limits.PollInterval
		var fewer <-chan struct{}
		if hasMore, err := d.poll(ctx); err != nil {
			failures++
			pause = max(pause, backoff(failures), retryAfter(err))
		} else {
			failures = 0
			if hasMore {
				fewer = d.fewer
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-fewer:
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

// poll lists jobs and starts on as many as fit. While nothing fits it looks
// seldom, to say what waits. It reports whether another poll will find more: all
// that were listed fit, and there are others.
func (d *Dispatcher) poll(ctx context.Context) (hasMore bool, err error) {
	d.holds.forget()
	room := d.room()
	if !room.any() && time.Since(d.looked) < fullInterval {
		return false, nil
	}
	begun := time.Now()
	d.looked = begun
	d.waiting.look(begun, room)
	jobs, err := d.Source.Scheduled(ctx, d.known)
	d.metrics.pollSeconds.Observe(time.Since(begun).Seconds())
	if ctx.Err() != nil {
		return false, err
	}
	d.notePoll(err)
	fitting := room.all
	left := d.serve(ctx, d.byQueue(jobs), room)
	d.waiting.keep(left, err == nil)
	backlog, tells := d.Source.(Backlog)
	return room.all < fitting && len(left) == 0 && tells && backlog.HasMore(), err
}

func (d *Dispatcher) notePoll(err error) {
	result := "ok"
	if err != nil {
		result = problemKind(err)
	}
	d.metrics.polls.WithLabelValues(result).Inc()
	d.problems.report("source", err)
}

// byQueue shares jobs out to their queues, each in the order in which its jobs
// are to run. Jobs of no queue of ours, or with nothing to do, are left out.
func (d *Dispatcher) byQueue(jobs []jobpod.Job) map[*queue][]jobpod.Job {
	shared := map[*queue][]jobpod.Job{}
	seen := map[string]bool{}
	for _, job := range jobs {
		q := d.queueFor(job)
		if q == nil || seen[job.UUID] || d.known(job.UUID) {
			continue
		}
		seen[job.UUID] = true
		shared[q] = append(shared[q], job)
	}
	for q, list := range shared {
		slices.SortFunc(list, jobpod.CompareJobs)
		if q.breaker.probing() {
			// Probes take turns, or one job that alone upsets a webhook would be
			// the probe for ever and stop the queue.
			slices.SortStableFunc(list, func(a, b jobpod.Job) int {
				return d.holds.lastTried(a.UUID).Compare(d.holds.lastTried(b.UUID))
			})
		}
	}
	return shared
}

// serve starts jobs while there is room: one of each queue in turn. It returns
// those that have to wait.
func (d *Dispatcher) serve(ctx context.Context, jobs map[*queue][]jobpod.Job, room *room) []waitingJob {
	for idle := 0; idle < len(d.queues); d.turn++ {
		q := d.queues[d.turn%len(d.queues)]
		if len(jobs[q]) == 0 || !room.take(q) {
			idle++
			continue
		}
		idle = 0
		d.start(ctx, q, jobs[q][0])
		jobs[q] = jobs[q][1:]
	}
	d.turn %= len(d.queues)
	var left []waitingJob
	for _, q := range d.queues {
		for _, job := range jobs[q] {
			left = append(left, waitingJob{ref: refOf(job), queue: q})
		}
	}
	return left
}

// known reports whether there is nothing to do for a scheduled job now: it is
// in hand, waits, or has a pod that will run it, is going, or was refused it.
func (d *Dispatcher) known(uuid string) bool {
	d.mu.Lock()
	_, inHand := d.inHand[uuid]
	d.mu.Unlock()
	if inHand || d.holds.holding(uuid) || d.waiting.skip(uuid) {
		return true
	}
	for _, pod := range d.Pods.ForJob(uuid) {
		switch d.standingOf(pod, uuid) {
		case standingLive:
			// Its containers run, and yet the job is still scheduled.
			d.suspects.note(pod, d.limits.Patience.Agent)
			return true
		case standingTerminating, standingTaken:
			return true
		}
	}
	return false
}

// standingOf judges a pod for the scheduled job with this UUID.
func (d *Dispatcher) standingOf(pod *PodRecord, uuid string) standing {
	return standingOf(pod, uuid, d.queues[0].Pods.ControllerID)
}
