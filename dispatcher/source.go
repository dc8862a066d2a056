package dispatcher

import (
	"context"
	"errors"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// Source lists scheduled jobs of the dispatcher's queue.
type Source interface {
	// Scheduled returns scheduled jobs, the oldest first, but not those that
	// known reports: they have a pod. There may be more than it returns.
	// Jobs and an error may come together, when an answer was incomplete. A
	// paused queue has no jobs.
	Scheduled(ctx context.Context, known func(uuid string) bool) ([]jobpod.Job, error)
}

// JobState is a job's state by Buildkite's GraphQL name.
type JobState string

// The states that matter to a pod that has not started.
const (
	StateScheduled JobState = "SCHEDULED"
	StateCanceled  JobState = "CANCELED"
	StateExpired   JobState = "EXPIRED"
	StateSkipped   JobState = "SKIPPED"
	StateBroken    JobState = "BROKEN"
	StateTimedOut  JobState = "TIMED_OUT"
)

// Withdrawn reports whether a job in this state can never run again and was
// ended by somebody other than an agent. FINISHED and RUNNING are not such
// states: the pod that looks unstarted may just have started.
func (s JobState) Withdrawn() bool {
	switch s {
	case StateCanceled, StateExpired, StateSkipped, StateBroken, StateTimedOut:
		return true
	default:
		return false
	}
}

// JobStates looks up the states of jobs.
type JobStates interface {
	// States returns the states of those jobs that could be read; states and
	// an error may come together.
	States(ctx context.Context, uuids []string) (map[string]JobState, error)
}

// Failer ends a scheduled job with a reason instead of a run.
type Failer interface {
	// Fail returns ErrJobTaken if the job is no longer scheduled, and
	// ErrNoAgentToken if it was given no token to do this with.
	Fail(ctx context.Context, job jobpod.Job, failure Failure) error
}

var (
	// ErrJobTaken says that a job can no longer be acquired: it runs
	// elsewhere, was cancelled, or has ended. There is nothing to report.
	ErrJobTaken = errors.New("job is no longer waiting for an agent")
	// ErrNoAgentToken says that failing jobs needs an agent token.
	ErrNoAgentToken = errors.New("no agent token")
)
