package state

import (
	"slices"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
)

// State is a job's state, written as the Agent API writes it.
type State string

// States that the simulator's jobs go through.
const (
	Waiting       State = "waiting"
	WaitingFailed State = "waiting_failed"
	Scheduled     State = "scheduled"
	Assigned      State = "assigned"
	Accepted      State = "accepted"
	Running       State = "running"
	Finished      State = "finished"
	Canceling     State = "canceling"
	Canceled      State = "canceled"
	TimingOut     State = "timing_out"
	TimedOut      State = "timed_out"
	Skipped       State = "skipped"
	Expired       State = "expired"
)

// Ended reports whether nothing more happens in this state.
func (s State) Ended() bool {
	switch s {
	case WaitingFailed, Finished, Canceled, TimedOut, Skipped, Expired:
		return true
	default:
		return false
	}
}

// WithAgent reports whether an agent has acquired or accepted the job and not
// yet ended it.
func (s State) WithAgent() bool {
	return slices.Contains([]State{Accepted, Running, Canceling, TimingOut}, s)
}

// Types of jobs.
const (
	TypeCommand = "command"
	TypeWait    = "wait"
)

type job struct {
	uuid     string
	sequence int
	build    *build
	step     *step
	queue    *queue // nil outside clusters
	rules    []string
	priority int
	env      map[string]string
	// authorsEnv is env without what Buildkite sets.
	authorsEnv map[string]string
	state      State
	retry      retryRecord

	parallelIndex, parallelTotal int

	agent      *agent
	assignment int // counts up over all jobs; 0 before the first
	token      string
	deadline   time.Time // of the current state, if it has one

	exitStatus           *int
	signal, signalReason string

	log     logbook
	uploads map[string]*upload

	createdAt, runnableAt, assignedAt, acceptedAt time.Time
	startedAt, finishedAt, canceledAt, expiredAt  time.Time
}

var noTime time.Time

// step is what the jobs of one step share, and what `step update` may change.
type step struct {
	pipeline.Step
	uuid       string
	attributes map[string]string
}

func (j *job) kind() string {
	if j.step.Kind == pipeline.KindWait {
		return TypeWait
	}
	return TypeCommand
}

func (j *job) passed() bool {
	return j.state == Finished && (j.exitStatus == nil || *j.exitStatus == 0)
}

func (j *job) softFailed() bool {
	return j.state == Finished && j.exitStatus != nil && *j.exitStatus != 0 && j.step.SoftFail.Allows(*j.exitStatus)
}

// ok reports whether the build goes on after the job.
func (j *job) ok() bool {
	return j.passed() || j.softFailed() || j.state == Skipped
}

// Job is a copy of a job.
type Job struct {
	UUID         string            `json:"uuid"`
	Type         string            `json:"type"`
	State        State             `json:"state"`
	Label        string            `json:"label,omitempty"`
	Command      string            `json:"command,omitempty"`
	StepKey      string            `json:"step_key,omitempty"`
	StepUUID     string            `json:"step_uuid"`
	Rules        []string          `json:"agent_query_rules"`
	Env          map[string]string `json:"env"`
	Priority     int               `json:"priority"`
	BuildUUID    string            `json:"build_uuid"`
	BuildNumber  int               `json:"build_number"`
	PipelineSlug string            `json:"pipeline_slug"`
	ClusterUUID  string            `json:"cluster_uuid,omitempty"`
	QueueUUID    string            `json:"queue_uuid,omitempty"`
	QueueKey     string            `json:"queue_key,omitempty"`
	URL          string            `json:"url"`

	ArtifactPaths string `json:"artifact_paths,omitempty"`
	ParallelIndex int    `json:"parallel_index"`
	ParallelTotal int    `json:"parallel_total,omitempty"`

	Passed       bool   `json:"passed"`
	SoftFailed   bool   `json:"soft_failed"`
	ExitStatus   *int   `json:"exit_status,omitempty"`
	Signal       string `json:"signal,omitempty"`
	SignalReason string `json:"signal_reason,omitempty"`
	LogBytes     int    `json:"log_bytes"`

	AgentUUID string `json:"agent_uuid,omitempty"`
	AgentName string `json:"agent_name,omitempty"`

	// Retried is true once another job has taken this one's place, which
	// RetriedInUUID names; RetryType says how.
	Retried       bool   `json:"retried,omitempty"`
	RetriedInUUID string `json:"retried_in_job_uuid,omitempty"`
	RetryType     string `json:"retry_type,omitempty"`
	// RetriesCount is how many jobs were before this one, RetrySourceUUID the last.
	RetriesCount    int    `json:"retries_count,omitempty"`
	RetrySourceUUID string `json:"retry_source_uuid,omitempty"`
	// Retry are the step's rules.
	Retry pipeline.Retry `json:"-"`

	CreatedAt  time.Time `json:"created_at"`
	RunnableAt time.Time `json:"runnable_at,omitzero"`
	AssignedAt time.Time `json:"assigned_at,omitzero"`
	AcceptedAt time.Time `json:"accepted_at,omitzero"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	CanceledAt time.Time `json:"canceled_at,omitzero"`
	ExpiredAt  time.Time `json:"expired_at,omitzero"`
}

// Ended reports whether nothing more happens to the job.
func (j Job) Ended() bool { return j.State.Ended() }

func (j *job) snapshot() Job {
	result := Job{
		UUID: j.uuid, Type: j.kind(), State: j.state, Label: j.step.Label, Command: j.step.Command,
		StepKey: j.step.Key, StepUUID: j.step.uuid, Rules: j.rules, Env: j.env, Priority: j.priority,
		BuildUUID: j.build.uuid, BuildNumber: j.build.number, PipelineSlug: j.build.pipeline.slug,
		URL: j.build.url + "#" + j.uuid, ArtifactPaths: j.step.ArtifactPaths,
		ParallelIndex: j.parallelIndex, ParallelTotal: j.parallelTotal,
		Passed: j.passed(), SoftFailed: j.softFailed(), ExitStatus: j.exitStatus,
		Signal: j.signal, SignalReason: j.signalReason, LogBytes: j.log.size,
		CreatedAt: j.createdAt, RunnableAt: j.runnableAt, AssignedAt: j.assignedAt, AcceptedAt: j.acceptedAt,
		StartedAt: j.startedAt, FinishedAt: j.finishedAt, CanceledAt: j.canceledAt, ExpiredAt: j.expiredAt,
		Retried: j.retried(), RetryType: j.retry.kind, RetriesCount: j.retry.count, Retry: j.step.Retry,
	}
	if j.retry.by != nil {
		result.RetriedInUUID = j.retry.by.uuid
	}
	if j.retry.source != nil {
		result.RetrySourceUUID = j.retry.source.uuid
	}
	if j.queue != nil {
		result.ClusterUUID, result.QueueUUID, result.QueueKey = j.queue.cluster.uuid, j.queue.uuid, j.queue.key
	}
	if j.agent != nil {
		result.AgentUUID, result.AgentName = j.agent.uuid, j.agent.name
	}
	return result
}

// Job returns a job.
func (s *Store) Job(uuid string) (Job, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.jobByUUID[uuid]
	if !ok {
		return Job{}, false
	}
	return j.snapshot(), true
}
