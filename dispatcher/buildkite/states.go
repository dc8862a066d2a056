package buildkite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/Khan/genqlient/graphql"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

// stateBatch is how many jobs one request asks the states of.
const stateBatch = 100

// statesOf looks jobs up by their UUIDs, many in one request: each costs one
// point.
func (c *Client) statesOf(ctx context.Context, uuids []string) (map[string]dispatcher.JobState, error) {
	states := make(map[string]dispatcher.JobState, len(uuids))
	var errs []error
	for batch := range slices.Chunk(uuids, stateBatch) {
		if err := c.stateBatch(ctx, batch, states); err != nil {
			errs = append(errs, err)
			break
		}
	}
	return states, errors.Join(errs...)
}

func (c *Client) stateBatch(ctx context.Context, uuids []string, states map[string]dispatcher.JobState) error {
	variables := make(map[string]string, len(uuids))
	for i, uuid := range uuids {
		variables[stateVariable(i)] = uuid
	}
	var answer map[string]*struct {
		UUID  string              `json:"uuid"`
		State dispatcher.JobState `json:"state"`
	}
	request := &graphql.Request{OpName: "jobStates", Query: statesQuery(len(uuids)), Variables: variables}
	err := c.request(ctx, func(ctx context.Context) error {
		return c.graphql.MakeRequest(ctx, request, &graphql.Response{Data: &answer})
	})
	for _, job := range answer {
		if job != nil && job.UUID != "" && job.State != "" {
			states[job.UUID] = job.State
			c.meet(job.State)
		}
	}
	return err
}

// meet says, once for each, that a job is in a state that Buildkite did not have
// when this was written. No such job counts as withdrawn.
func (c *Client) meet(state dispatcher.JobState) {
	if slices.Contains(AllJobStates, JobStates(state)) {
		return
	}
	if _, isMet := c.strangeStates.LoadOrStore(state, true); !isMet {
		c.log.Warn("Buildkite tells of a job state that this version does not know, and takes the job for one that goes on", slog.String("state", string(state)))
	}
}

func statesQuery(count int) string {
	return aliasedQuery("jobStates", count, stateVariable, "job(uuid: $%s) { ... on JobTypeCommand { uuid state } }")
}

func stateVariable(index int) string {
	return fmt.Sprintf("job%d", index)
}
