package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// Source lists scheduled jobs of the dispatcher's queues.
type Source interface {
	// Scheduled returns scheduled jobs of all queues, the oldest first, but not
	// those that known reports: they have a pod. There may be more than it
	// returns. Jobs and an error may come together, when an answer was
	// incomplete. Jobs of paused queues are left out.
	Scheduled(ctx context.Context, known func(uuid string) bool) ([]jobpod.Job, error)
}

// Backlog is what a Source may offer besides: whether it left jobs out.
type Backlog interface {
	// HasMore reports whether there were more scheduled jobs than it has listed
	// when it was last asked. Those that it has returned need not be started yet:
	// they are known then.
	HasMore() bool
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
	StateFinished  JobState = "FINISHED"
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
	// an error may come together. Of more than a few jobs it may leave out those
	// that were not withdrawn.
	States(ctx context.Context, uuids []string) (map[string]JobState, error)
}

// Annotator keeps annotations on builds up to date.
type Annotator interface {
	// Annotate creates the build's annotation with the note's context, or
	// replaces it.
	Annotate(ctx context.Context, build BuildRef, note Note) error
	// Remove removes the build's annotation with this context. It is no error
	// if there is none.
	Remove(ctx context.Context, build BuildRef, noteContext string) error
}

// BuildRef names a build, as BUILDKITE_BUILD_ID and BUILDKITE_BUILD_URL of a
// job's environment do.
type BuildRef struct {
	UUID, URL string
}

// Note is an annotation of a build.
type Note struct {
	// Context tells a build's annotations apart.
	Context string
	// Style is one of NoteInfo, NoteWarning and NoteError.
	Style string
	// Body is Markdown.
	Body string
}

// Styles of notes.
const (
	NoteInfo    = "info"
	NoteWarning = "warning"
	NoteError   = "error"
)

// BudgetReader is what a Source may offer besides: what is left of the
// allowance that its requests are counted against.
type BudgetReader interface {
	Budget() BudgetState
}

// BudgetState is an allowance of a kind that fills up again at an end of its
// window.
type BudgetState struct {
	// Left and Limit are points; a Limit of 0 means that neither is known yet.
	Left, Limit int
	// Reset is when the window ends; the zero time if unknown.
	Reset time.Time
	// Used is the number of points that this program has used since it began.
	Used int
	// PerSecond is how many points this program uses at present.
	PerSecond float64
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
