package dispatcher

import (
	"sync"
	"time"
)

// holdMemory is how long a job is remembered after its hold ended: longer than
// any patience, or a job could be held for ever.
const holdMemory = 30 * time.Minute

// holds remembers jobs that have to wait, each for itself, so that none blocks
// another. It is lost with the process: a new one tries once more.
type holds struct {
	mu   sync.Mutex
	jobs map[string]*hold
}

type hold struct {
	ref   jobRef
	queue *queue
	cause string
	// words are the cluster's when the cause began, or empty: what they count goes
	// on changing.
	words string
	// first is since when the job has been held for one cause or another, since
	// for this one.
	first    time.Time
	since    time.Time
	until    time.Time
	failures int
	// touched is when the job was last dealt with.
	touched time.Time
	// ended counts the job's pods that ended without running it.
	ended int
}

func newHolds() *holds {
	return &holds{jobs: map[string]*hold{}}
}

// holding reports whether the job has to wait now.
func (h *holds) holding(uuid string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	job := h.jobs[uuid]
	return job != nil && time.Now().Before(job.until)
}

// hold makes the job wait: longer each time for the same cause. It returns for
// how long the cause has held the job, and whether the cause is new.
func (h *holds) hold(q *queue, ref jobRef, cause, words string) (held time.Duration, isNew bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	job := h.job(ref.uuid)
	now := time.Now()
	job.ref, job.queue = ref, q
	if job.first.IsZero() {
		job.first = now
	}
	if job.cause != cause {
		job.cause, job.words, job.since, job.failures = cause, words, now, 0
		isNew = true
	}
	job.failures++
	job.until = now.Add(backoff(job.failures))
	return now.Sub(job.since), isNew
}

// lastTried returns when the job was last dealt with: never is the zero time.
func (h *holds) lastTried(uuid string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if job := h.jobs[uuid]; job != nil {
		return job.touched
	}
	return time.Time{}
}

// rest makes the job wait for a fixed time.
func (h *holds) rest(uuid, cause string, pause time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	job := h.job(uuid)
	job.cause, job.words, job.until, job.first = cause, "", time.Now().Add(pause), time.Time{}
}

// leave makes the job wait for a fixed time for a cause worth telling.
func (h *holds) leave(q *queue, ref jobRef, cause string, pause time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	job := h.job(ref.uuid)
	job.ref, job.queue = ref, q
	if job.first.IsZero() {
		job.first = time.Now()
	}
	job.cause, job.words, job.until = cause, "", time.Now().Add(pause)
}

// ended counts one more pod that ended without running the job. The pod says
// which of the job's it was: an earlier leader may have seen the others.
func (h *holds) ended(uuid string, attempt int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	job := h.job(uuid)
	job.ended = max(job.ended+1, attempt)
	return job.ended
}

// attempt returns which of the job's pods comes next, from 1.
func (h *holds) attempt(uuid string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if job := h.jobs[uuid]; job != nil {
		return job.ended + 1
	}
	return 1
}

// all returns copies of the holds that are worth telling: those in force, and
// those that were until a moment ago, whose next attempt has not been made yet.
func (h *holds) all() []hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	var held []hold
	for _, job := range h.jobs {
		if !job.first.IsZero() && time.Since(job.until) < fullInterval {
			held = append(held, *job)
		}
	}
	return held
}

// release lets the job go as if it had never been held, but for the pods that
// ended without running it.
func (h *holds) release(uuid string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if job := h.jobs[uuid]; job != nil {
		job.cause, job.failures, job.until, job.first = "", 0, time.Time{}, time.Time{}
	}
}

// forget drops jobs that have not been held for long.
func (h *holds) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for uuid, job := range h.jobs {
		if now.After(job.until) && now.Sub(job.touched) > holdMemory {
			delete(h.jobs, uuid)
		}
	}
}

func (h *holds) job(uuid string) *hold {
	if h.jobs[uuid] == nil {
		h.jobs[uuid] = &hold{}
	}
	h.jobs[uuid].touched = time.Now()
	return h.jobs[uuid]
}
