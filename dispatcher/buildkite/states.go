package buildkite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
		}
	}
	return err
}

// statesQuery writes a query with an alias for each of count jobs, which
// genqlient's fixed operations cannot have.
func statesQuery(count int) string {
	var variables, fields strings.Builder
	for i := range count {
		fmt.Fprintf(&variables, " $%s: ID!", stateVariable(i))
		fmt.Fprintf(&fields, "  %s: job(uuid: $%[1]s) { ... on JobTypeCommand { uuid state } }\n", stateVariable(i))
	}
	return "query jobStates(" + strings.TrimSpace(variables.String()) + ") {\n" + fields.String() + "}\n"
}

func stateVariable(index int) string {
	return fmt.Sprintf("job%d", index)
}
