package dispatcher

import (
	"sync"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// Variables of a job's environment that name its build.
const (
	buildUUIDVariable = "BUILDKITE_BUILD_ID"
	buildURLVariable  = "BUILDKITE_BUILD_URL"
)

// jobRef is what may be remembered of a job: its environment, which may hold
// secrets and be large, is not.
type jobRef struct {
	uuid, url string
	build     BuildRef
	scheduled time.Time
}

func refOf(job jobpod.Job) jobRef {
	return jobRef{
		uuid: job.UUID, url: job.URL, scheduled: job.ScheduledAt,
		build: BuildRef{UUID: job.Lookup(buildUUIDVariable), URL: job.Lookup(buildURLVariable)},
	}
}

// waitingJob is a job that waits for capacity.
type waitingJob struct {
	ref   jobRef
	queue *queue
	since time.Time
	// listed is when it was last among the scheduled jobs.
	listed time.Time
}

// waiting remembers jobs that were listed and did not fit. While their queue is
// full and another is not, they are no news: the listing may pass over them to
// those of the other.
type waiting struct {
	mu     sync.Mutex
	jobs   map[string]*waitingJob
	looked time.Time
	passed map[*queue]bool
}

func newWaiting() *waiting {
	return &waiting{jobs: map[string]*waitingJob{}}
}

// look begins a listing.
func (w *waiting) look(now time.Time, room *room) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looked, w.passed = now, map[*queue]bool{}
	if !room.any() {
		return
	}
	for q := range room.each {
		w.passed[q] = room.isFull(q)
	}
}

// skip reports whether a listed job waits for a queue that is full.
func (w *waiting) skip(uuid string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	job := w.jobs[uuid]
	if job == nil || !w.passed[job.queue] {
		return false
	}
	job.listed = w.looked
	return true
}

// keep ends a listing: these jobs wait now, and if it was complete no others but
// those that were passed over.
func (w *waiting) keep(left []waitingJob, isComplete bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, job := range left {
		job.since, job.listed = time.Now(), w.looked
		if known := w.jobs[job.ref.uuid]; known != nil {
			job.since = known.since
		}
		w.jobs[job.ref.uuid] = &job
	}
	for uuid, job := range w.jobs {
		if isComplete && job.listed.Before(w.looked) {
			delete(w.jobs, uuid)
		}
	}
}

// done forgets a job that does not wait for capacity any more.
func (w *waiting) done(uuid string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.jobs, uuid)
}

// all returns the jobs that wait.
func (w *waiting) all() []waitingJob {
	w.mu.Lock()
	defer w.mu.Unlock()
	jobs := make([]waitingJob, 0, len(w.jobs))
	for _, job := range w.jobs {
		jobs = append(jobs, *job)
	}
	return jobs
}

// suspects are jobs that are still scheduled although their pod has started.
type suspects struct {
	mu   sync.Mutex
	jobs map[string]bool
}

func newSuspects() *suspects {
	return &suspects{jobs: map[string]bool{}}
}

// note suspects a pod's agent if it has had the patience's time.
func (s *suspects) note(pod *PodRecord, patience time.Duration) {
	if !pod.Started || pod.StartedAt.IsZero() || patience == 0 || time.Since(pod.StartedAt) < patience {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[pod.JobUUID()] = true
}

// take reports whether a job is suspected, and forgets it.
func (s *suspects) take(uuid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	isSuspect := s.jobs[uuid]
	delete(s.jobs, uuid)
	return isSuspect
}
