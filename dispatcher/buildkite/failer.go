package buildkite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/buildkite/agent/v3/core"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// DefaultAgentEndpoint is where agents find Buildkite unless told otherwise.
const DefaultAgentEndpoint = "https://agent-edge.buildkite.com/v3"

const (
	// failTimeout bounds one report: the agent library tries for an hour.
	failTimeout = 2 * time.Minute
	// disconnectTimeout bounds the goodbye, which is worth a try even when the
	// report ran out of time.
	disconnectTimeout = 10 * time.Second
)

// Failer fails jobs in the only way there is for a program with an agent
// token: it registers as an agent, acquires the job, writes the reason to its
// log and finishes it.
type Failer struct {
	// Endpoint is the Agent API's URL; empty means Buildkite's own.
	Endpoint string
	// Token is an agent token of the jobs' cluster. Nil, or an empty token,
	// makes Fail return dispatcher.ErrNoAgentToken.
	Token TokenSource
	// Tags are what the agent registers with: Buildkite gives a job only to an
	// agent that meets its rules.
	Tags jobpod.Tags
}

var _ dispatcher.Failer = (*Failer)(nil)

// Fail ends the job with the failure's exit status and text.
func (f *Failer) Fail(ctx context.Context, job jobpod.Job, failure dispatcher.Failure) error {
	token, err := f.token()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, failTimeout)
	defer cancel()
	agent, err := core.NewController(ctx, token, "agent-stack-k8s-"+job.UUID, f.tags(job), core.WithEndpoint(f.endpoint()))
	if err != nil {
		return fmt.Errorf("register an agent to fail job %s: %w", job.UUID, err)
	}
	defer disconnect(ctx, agent)
	return finish(ctx, agent, job.UUID, failure)
}

// finish acquires and ends the job. A log that cannot be written must not
// leave an acquired job running, so it is ended all the same.
func finish(ctx context.Context, agent *core.Controller, uuid string, failure dispatcher.Failure) error {
	acquired, err := agent.AcquireJob(ctx, uuid)
	if errors.Is(err, core.ErrJobAcquisitionRejected) {
		return fmt.Errorf("acquire job %s: %w", uuid, dispatcher.ErrJobTaken)
	}
	if err != nil {
		return fmt.Errorf("acquire job %s: %w", uuid, err)
	}
	job := agent.NewJobController(acquired)
	if err := job.Start(ctx); err != nil {
		return fmt.Errorf("start job %s: %w", uuid, err)
	}
	logErr := job.WriteLog(ctx, failure.Log())
	exit := core.ProcessExit{Status: failure.ExitStatus, SignalReason: dispatcher.StackErrorReason}
	ignoreAgent := true
	if err := job.Finish(ctx, exit, &ignoreAgent); err != nil {
		return fmt.Errorf("finish job %s: %w", uuid, err)
	}
	if logErr != nil {
		return fmt.Errorf("write log of job %s: %w", uuid, logErr)
	}
	return nil
}

// disconnect leaves no agent behind in Buildkite's list, where it would be
// shown as lost.
func disconnect(ctx context.Context, agent *core.Controller) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), disconnectTimeout)
	defer cancel()
	// The job is reported by now; Buildkite forgets a silent agent by itself.
	_ = agent.Close(ctx)
}

func (f *Failer) token() (string, error) {
	if f.Token == nil {
		return "", dispatcher.ErrNoAgentToken
	}
	token, err := f.Token()
	if err != nil {
		return "", fmt.Errorf("read agent token: %w", err)
	}
	if token == "" {
		return "", dispatcher.ErrNoAgentToken
	}
	return token, nil
}

func (f *Failer) endpoint() string {
	if f.Endpoint == "" {
		return DefaultAgentEndpoint
	}
	return f.Endpoint
}

func (f *Failer) tags(job jobpod.Job) []string {
	all := f.Tags.ForJob(job.Rules)
	tags := make([]string, len(all))
	for i, tag := range all {
		tags[i] = tag.String()
	}
	return tags
}
