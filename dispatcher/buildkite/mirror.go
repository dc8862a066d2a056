package buildkite

import (
	"cmp"
	"slices"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

const (
	// freshness is how long a listed job is taken to be scheduled still. A pod for
	// one that is not would only start to learn that.
	freshness = 30 * time.Second
	// maxPriorities bounds the priorities that are remembered as in use.
	maxPriorities = 64
	// usualPriorities are those that are looked for without having been seen.
	usualPriorities = 10
	// forgotten is how long a job that no listing brings up again is remembered.
	forgotten = 5 * time.Minute
)

// mirror is what this program knows of the scheduled jobs, so that it need not
// pay for them with each poll.
type mirror struct {
	jobs map[string]*listedJob
	// reach is when the latest job was created that was come to in order of
	// creation, by Buildkite's clock.
	reach time.Time
	// priorities are those in use, as far as known.
	priorities map[int]bool
}

type listedJob struct {
	job     jobpod.Job
	created time.Time
	// listed is when it was last listed, taken when it was last seen to have a
	// pod, or to be looked after otherwise.
	listed, taken time.Time
}

// take notes that the job has a pod at a time. It keeps what tells the job from
// others: without a pod it has to be listed again.
func (j *listedJob) take(now time.Time) {
	j.taken = now
	j.job = jobpod.Job{UUID: j.job.UUID, Priority: j.job.Priority}
}

func newMirror() mirror {
	return mirror{jobs: map[string]*listedJob{}, priorities: map[int]bool{}}
}

// add takes listed jobs in and returns how many of them are new.
func (m *mirror) add(jobs []listedJob) int {
	added := 0
	for _, job := range jobs {
		if before := m.jobs[job.job.UUID]; before != nil {
			job.taken = later(job.taken, before.taken)
		} else {
			added++
		}
		m.jobs[job.job.UUID] = &job
		if len(m.priorities) < maxPriorities {
			m.priorities[job.job.Priority] = true
		}
	}
	return added
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// reached notes how far the jobs are known in order of creation.
func (m *mirror) reached(jobs []listedJob) {
	for _, job := range jobs {
		if job.created.After(m.reach) {
			m.reach = job.created
		}
	}
}

// drop forgets jobs that a listing which began at a time should have had and had
// not: those created up to its reach.
func (m *mirror) drop(began, reach time.Time) {
	for uuid, job := range m.jobs {
		if job.listed.Before(began) && !job.created.After(reach) {
			delete(m.jobs, uuid)
		}
	}
}

// doubt is why jobs may have to be listed again.
type doubt int

const (
	doubtNone doubt = iota
	// doubtReleased is that jobs had a pod when they were last listed and have
	// none now: whether they are scheduled still only another listing tells.
	doubtReleased
	// doubtStale is that all jobs there would be to take were listed too long ago.
	doubtStale
)

// observe notes which jobs have a pod.
func (m *mirror) observe(known func(string) bool, now time.Time) doubt {
	found := doubtNone
	stale, waiting := 0, 0
	for uuid, job := range m.jobs {
		switch {
		case known(uuid):
			job.take(now)
		case !job.taken.Before(job.listed):
			found = doubtReleased
		case now.Sub(job.listed) >= freshness:
			stale++
		default:
			waiting++
		}
		if now.Sub(job.listed) > forgotten {
			delete(m.jobs, uuid)
		}
	}
	if stale > 0 && waiting == 0 {
		return doubtStale
	}
	return found
}

// takenSince counts the jobs that have had a pod since.
func (m *mirror) takenSince(since time.Time) int {
	count := 0
	for _, job := range m.jobs {
		if job.taken.After(since) {
			count++
		}
	}
	return count
}

// waiting returns the jobs that are there for the taking, the oldest first.
func (m *mirror) waiting(known func(string) bool, now time.Time) []jobpod.Job {
	var jobs []jobpod.Job
	for uuid, job := range m.jobs {
		if job.taken.Before(job.listed) && now.Sub(job.listed) < freshness && !known(uuid) {
			jobs = append(jobs, job.job)
		}
	}
	slices.SortFunc(jobs, func(a, b jobpod.Job) int {
		return cmp.Or(a.ScheduledAt.Compare(b.ScheduledAt), cmp.Compare(a.UUID, b.UUID))
	})
	return jobs
}

// prioritiesAbove returns the priorities above the least of jobs, of those that
// are in use or usual.
func (m *mirror) prioritiesAbove(jobs []jobpod.Job) []int {
	if len(jobs) == 0 {
		return nil
	}
	least := slices.MinFunc(jobs, func(a, b jobpod.Job) int { return cmp.Compare(a.Priority, b.Priority) }).Priority
	var above []int
	for priority := -usualPriorities; priority <= usualPriorities; priority++ {
		if priority > least {
			above = append(above, priority)
		}
	}
	for priority := range m.priorities {
		if priority > least && !slices.Contains(above, priority) {
			above = append(above, priority)
		}
	}
	slices.Sort(above)
	return above
}
