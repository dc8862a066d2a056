package graphqlapi

import (
	"errors"
	"strconv"
	"strings"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

func (j *commandJob) RetryType() *string { return optional(strings.ToUpper(j.Job.RetryType)) }

// RetrySource is the job whose place this one took.
func (j *commandJob) RetrySource() *job {
	found, ok := j.store.Job(j.RetrySourceUUID)
	if !ok {
		return nil
	}
	return &job{Job: found, store: j.store}
}

func (j *commandJob) RetryRules() *retryRules { return &retryRules{j.Retry} }

type retryRules struct{ pipeline.Retry }

func (r *retryRules) Manual() *bool {
	allowed := !r.Retry.Manual.Forbidden
	return &allowed
}

func (r *retryRules) Automatic() *[]*retryRule {
	result := []*retryRule{}
	for _, rule := range r.Retry.Automatic {
		result = append(result, &retryRule{rule})
	}
	return &result
}

type retryRule struct{ pipeline.RetryRule }

func (r *retryRule) ExitStatus() *string   { return optional(r.Status()) }
func (r *retryRule) Limit() *string        { return optional(strconv.Itoa(r.RetryRule.Limit)) }
func (r *retryRule) Signal() *string       { return optional(strings.Join(r.Signals, ",")) }
func (r *retryRule) SignalReason() *string { return optional(strings.Join(r.SignalReasons, ",")) }

type retryPayload struct {
	clientMutationID *string
	old, next        *commandJob
}

func (p *retryPayload) ClientMutationID() *string            { return p.clientMutationID }
func (p *retryPayload) JobTypeCommand() *commandJob          { return p.old }
func (p *retryPayload) RetriedInJobTypeCommand() *commandJob { return p.next }

// JobTypeCommandRetry runs a job again.
func (r *root) JobTypeCommandRetry(args struct{ Input identified }) (*retryPayload, error) {
	uuid, ok := state.ParseGlobalID("Job", string(args.Input.ID))
	if !ok {
		return nil, errors.New("No job found") //nolint:staticcheck // as Buildkite writes it
	}
	old, next, err := r.store.Retry(uuid, byGraphQL)
	if err != nil {
		return nil, err
	}
	node := func(of state.Job) *commandJob { return &commandJob{job{Job: of, store: r.store}} }
	return &retryPayload{clientMutationID: args.Input.ClientMutationID, old: node(old), next: node(next)}, nil
}
