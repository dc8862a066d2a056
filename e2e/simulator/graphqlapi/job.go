package graphqlapi

import (
	"slices"
	"strconv"
	"strings"

	graphql "github.com/graph-gophers/graphql-go"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// job resolves the union Job and what its members share.
type job struct {
	state.Job
	store *state.Store
}

func (j *job) ToJobTypeCommand() (*commandJob, bool) {
	return &commandJob{*j}, j.Type == state.TypeCommand
}
func (j *job) ToJobTypeWait() (*waitJob, bool)       { return &waitJob{*j}, j.Type == state.TypeWait }
func (j *job) ToJobTypeBlock() (*blockJob, bool)     { return nil, false }
func (j *job) ToJobTypeTrigger() (*triggerJob, bool) { return nil, false }

func (j *job) ID() graphql.ID { return globalID("Job", j.Job.UUID) }
func (j *job) UUID() string   { return j.Job.UUID }
func (j *job) Label() *string { return optional(j.Job.Label) }
func (j *job) Retried() bool  { return j.Job.Retried }
func (j *job) State() string  { return strings.ToUpper(string(j.Job.State)) }
func (j *job) Build() *build  { return findBuild(j.store, j.BuildUUID) }
func (j *job) Step() *step    { return &step{j.Job} }

// The members of the union that the simulator has no jobs of need types all the
// same, because queries may ask for their fields.
type (
	waitJob    struct{ job }
	blockJob   struct{ job }
	triggerJob struct{ job }
)

func (t *triggerJob) Async() bool { return false }

type step struct{ job state.Job }

func (s *step) Key() *string { return optional(s.job.StepKey) }
func (s *step) UUID() string { return s.job.StepUUID }

type commandJob struct{ job }

func (j *commandJob) Command() *string   { return optional(j.Job.Command) }
func (j *commandJob) URL() string        { return j.Job.URL }
func (j *commandJob) Passed() bool       { return j.Job.Passed }
func (j *commandJob) SoftFailed() bool   { return j.Job.SoftFailed }
func (j *commandJob) Signal() *string    { return optional(j.Job.Signal) }
func (j *commandJob) Priority() priority { return priority{j.Job.Priority} }

func (j *commandJob) AgentQueryRules() *[]string { return &j.Rules }

func (j *commandJob) Env() *[]string {
	list := state.EnvironmentList(j.Job.Env)
	return &list
}

func (j *commandJob) ExitStatus() *string {
	if j.Job.ExitStatus == nil {
		return nil
	}
	text := strconv.Itoa(*j.Job.ExitStatus)
	return &text
}

// signalReasons are those that the schema knows; agents may send others.
var signalReasons = []string{
	"agent_incompatible", "agent_refused", "agent_stop", "cancel", "process_run_error", "signature_rejected", "stack_error",
}

func (j *commandJob) SignalReason() *string {
	if !slices.Contains(signalReasons, j.Job.SignalReason) {
		return nil
	}
	return optional(strings.ToUpper(j.Job.SignalReason))
}

func (j *commandJob) AutomaticArtifactUploadPaths() *string { return optional(j.ArtifactPaths) }

func (j *commandJob) ParallelGroupIndex() *int32 {
	if j.ParallelTotal == 0 {
		return nil
	}
	return number(j.ParallelIndex)
}

func (j *commandJob) ParallelGroupTotal() *int32 {
	if j.ParallelTotal == 0 {
		return nil
	}
	return number(j.ParallelTotal)
}

func (j *commandJob) RetriesCount() *int32      { return number(j.Job.RetriesCount) }
func (j *commandJob) Concurrency() *concurrency { return nil }
func (j *commandJob) CreatedAt() *dateTime      { return moment(j.Job.CreatedAt) }
func (j *commandJob) ScheduledAt() *dateTime    { return moment(j.Job.RunnableAt) }
func (j *commandJob) RunnableAt() *dateTime     { return moment(j.Job.RunnableAt) }
func (j *commandJob) StartedAt() *dateTime      { return moment(j.Job.StartedAt) }
func (j *commandJob) FinishedAt() *dateTime     { return moment(j.Job.FinishedAt) }
func (j *commandJob) CanceledAt() *dateTime     { return moment(j.Job.CanceledAt) }
func (j *commandJob) ExpiredAt() *dateTime      { return moment(j.Job.ExpiredAt) }

func (j *commandJob) Cluster() *cluster { return findCluster(j.store, j.ClusterUUID) }

func (j *commandJob) ClusterQueue() *queue {
	found := j.Cluster()
	if found == nil {
		return nil
	}
	return found.queue(func(q state.Queue) bool { return q.UUID == j.QueueUUID })
}

func (j *commandJob) Pipeline() *pipelineNode { return findPipeline(j.store, j.PipelineSlug) }

func (j *commandJob) Agent() *agent {
	found, ok := j.store.Agent(j.AgentUUID)
	if !ok {
		return nil
	}
	return &agent{found}
}

type priority struct{ value int }

func (p priority) Number() *int32 { return number(p.value) }

type concurrency struct {
	group string
	limit int
}

func (c *concurrency) Group() string { return c.group }
func (c *concurrency) Limit() int32  { return int32(c.limit) }

type agent struct{ state.Agent }

func (a *agent) ID() graphql.ID          { return globalID("Agent", a.Agent.UUID) }
func (a *agent) UUID() string            { return a.Agent.UUID }
func (a *agent) Name() string            { return a.Agent.Name }
func (a *agent) Hostname() *string       { return optional(a.Agent.Hostname) }
func (a *agent) Version() *string        { return optional(a.Agent.Version) }
func (a *agent) ConnectionState() string { return a.Connection }
func (a *agent) IsRunningJob() bool      { return a.JobUUID != "" }
func (a *agent) MetaData() *[]string     { return &a.Tags }
func (a *agent) LostAt() *dateTime       { return moment(a.Agent.LostAt) }
