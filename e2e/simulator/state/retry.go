package state

import "slices"

// Types of retries, in lower case.
const (
	RetryAutomatic = "automatic"
	RetryManual    = "manual"
)

// retryRecord is what a job knows of its retries.
type retryRecord struct {
	source   *job   // that this job is run again for
	by       *job   // that this job is run again by
	kind     string // how this job was retried
	count    int    // retries before this job
	ruleUses []int  // by this job and those before it, for each automatic rule
}

// retried jobs are history: their build looks at the job that took their place.
func (j *job) retried() bool { return j.retry.by != nil }

// retryAutomatically runs a job again if a rule of its step says so: the first
// rule that matches counts, up to its own limit. Canceled jobs are never retried
// by themselves; those that ran out of time are.
func (s *Store) retryAutomatically(j *job) {
	if j.exitStatus == nil || j.state == Canceled || j.build.canceled || j.retried() {
		return
	}
	rules := j.step.Retry.Automatic
	at := -1
	for i, rule := range rules {
		if rule.Matches(*j.exitStatus, j.signal, j.signalReason) {
			at = i
			break
		}
	}
	if at < 0 {
		return
	}
	uses := slices.Clone(j.retry.ruleUses)
	if uses == nil {
		uses = make([]int, len(rules))
	}
	if uses[at] >= rules[at].Limit {
		return
	}
	uses[at]++
	s.again(j, RetryAutomatic, "retry rule", uses)
}

// again makes the job that takes the place of j, scheduled at once: what j
// waited for has happened.
func (s *Store) again(j *job, kind, by string, uses []int) *job {
	next := s.newJob(j.build, j.step)
	next.queue, next.rules, next.priority = j.queue, j.rules, j.priority
	next.parallelIndex, next.parallelTotal = j.parallelIndex, j.parallelTotal
	next.authorsEnv = j.authorsEnv
	next.retry = retryRecord{source: j, count: j.retry.count + 1, ruleUses: uses}
	next.env = s.jobEnvironment(next, next.authorsEnv)
	j.retry.by, j.retry.kind = next, kind
	b := j.build
	b.jobs = slices.Insert(b.jobs, slices.Index(b.jobs, j)+1, next)
	s.register([]*job{next})
	s.schedule(next)
	s.oracle.note(j.uuid, Event{Kind: EventRetried, Agent: by, Accepted: true, Message: "again as " + next.uuid})
	return next
}

// Retry runs a job again, as a person would by the button or by GraphQL. It is a
// 422 when the job has not ended, was retried already, or its step forbids it.
func (s *Store) Retry(jobUUID, by string) (old, next Job, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[jobUUID]
	if !ok || j.kind() != TypeCommand {
		return Job{}, Job{}, notFound("No job found")
	}
	manual := j.step.Retry.Manual
	switch {
	case !j.state.Ended() || j.state == Skipped || j.state == WaitingFailed:
		return Job{}, Job{}, unprocessable("job %s is %s: only failed, timed out, expired or canceled jobs can be retried", j.uuid, j.state)
	case j.retried():
		return Job{}, Job{}, unprocessable("job %s has been retried already, as job %s", j.uuid, j.retry.by.uuid)
	case manual.Forbidden:
		return Job{}, Job{}, unprocessable("job %s cannot be retried: %s", j.uuid, orDefault(manual.Reason, "its step forbids it"))
	case j.passed() && !manual.PermitOnPassed:
		return Job{}, Job{}, unprocessable("job %s has passed, and its step permits no retry then", j.uuid)
	case len(s.jobs) >= maxJobs:
		return Job{}, Job{}, unprocessable("too many jobs: %d are the simulator's limit", maxJobs)
	}
	j.build.canceled = false
	made := s.again(j, RetryManual, by, nil)
	s.reopen(j.build)
	s.advance(j.build)
	return j.snapshot(), made.snapshot(), nil
}

// reopen has the jobs that failed for waiting wait again: what they waited for
// may pass this time.
func (s *Store) reopen(b *build) {
	for _, j := range b.jobs {
		if j.state == WaitingFailed {
			j.state, j.finishedAt = Waiting, noTime
			s.revived = true
			s.changed(j)
		}
	}
}
