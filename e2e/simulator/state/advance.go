package state

import (
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
)

// outlook is what a waiting job may expect of those it waits for.
type outlook int

const (
	outlookReady outlook = iota
	outlookOpen
	outlookFailed
)

// advance moves the waiting jobs of b on, as far as they can go. It is called
// after every change of a job's state.
func (s *Store) advance(b *build) {
	for s.advanceOnce(b) {
	}
}

// advanceOnce walks the build once and reports whether a state changed: a change
// may decide a job that was passed already.
func (s *Store) advanceOnce(b *build) bool {
	changed := false
	barrier := outlookReady // of the wait step last passed
	before := outlookReady  // of all jobs so far
	for _, j := range b.jobs {
		if j.retried() {
			continue
		}
		if j.state == Waiting {
			changed = s.decide(j, barrier, before) || changed
		}
		if j.kind() == TypeWait {
			switch j.state {
			case Waiting:
				barrier = max(barrier, outlookOpen)
			case WaitingFailed:
				barrier = outlookFailed
			default:
				barrier = outlookReady
			}
			continue
		}
		switch {
		case !j.state.Ended():
			before = outlookOpen
		case !j.ok() && before == outlookReady:
			before = outlookFailed
		}
	}
	return changed
}

// decide moves one waiting job on if it can and reports whether it did.
func (s *Store) decide(j *job, barrier, before outlook) bool {
	now := time.Now()
	if j.kind() == TypeWait {
		expect := max(barrier, before)
		if before == outlookOpen {
			expect = outlookOpen
		}
		switch {
		case expect == outlookOpen:
			return false
		case expect == outlookFailed && !j.step.ContinueOnFailure:
			j.state = WaitingFailed
		default:
			j.state = Finished
		}
		j.finishedAt = now
		s.changed(j)
		return true
	}
	expect := barrier
	if j.step.Explicit {
		expect = j.build.dependencies(j)
	}
	switch expect {
	case outlookOpen:
		return false
	case outlookFailed:
		j.state, j.finishedAt = WaitingFailed, now
		s.changed(j)
	default:
		s.schedule(j)
	}
	return true
}

// schedule has a job wait for an agent, as long as it may.
func (s *Store) schedule(j *job) {
	j.state, j.runnableAt = Scheduled, time.Now()
	j.deadline = j.createdAt.Add(s.options.ScheduledExpiry)
	s.changed(j)
}

// dependencies tells how the jobs that j names in depends_on fare.
func (b *build) dependencies(j *job) outlook {
	result := outlookReady
	for _, dependency := range j.step.DependsOn {
		tolerant := dependency.AllowFailure || j.step.AllowDependencyFailure
		switch b.fare(dependency) {
		case outlookOpen:
			return outlookOpen
		case outlookFailed:
			if !tolerant {
				result = outlookFailed
			}
		}
	}
	return result
}

func (b *build) fare(dependency pipeline.Dependency) outlook {
	result := outlookReady
	for _, other := range b.jobs {
		if other.retried() || (other.step.Key != dependency.Step && other.step.GroupKey != dependency.Step) {
			continue
		}
		switch {
		case !other.state.Ended():
			return outlookOpen
		case !other.ok():
			result = outlookFailed
		}
	}
	return result
}
