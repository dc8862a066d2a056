package graphqlapi

import (
	"errors"

	graphql "github.com/graph-gophers/graphql-go"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

const byGraphQL = "GraphQL"

type identified struct {
	ClientMutationID *string
	ID               graphql.ID
}

type cancelJobPayload struct {
	clientMutationID *string
	job              *commandJob
}

func (p *cancelJobPayload) ClientMutationID() *string   { return p.clientMutationID }
func (p *cancelJobPayload) JobTypeCommand() *commandJob { return p.job }

// JobTypeCommandCancel cancels a job by its global id; a bare UUID is not one.
func (r *root) JobTypeCommandCancel(args struct{ Input identified }) (*cancelJobPayload, error) {
	uuid, ok := state.ParseGlobalID("Job", string(args.Input.ID))
	if !ok {
		return nil, errors.New("No job found") //nolint:staticcheck // as Buildkite writes it
	}
	canceled, err := r.store.Cancel(uuid, byGraphQL)
	if err != nil {
		return nil, err
	}
	return &cancelJobPayload{clientMutationID: args.Input.ClientMutationID, job: &commandJob{job{Job: canceled, store: r.store}}}, nil
}

type buildPayload struct {
	clientMutationID *string
	build            *build
	annotation       *annotation
}

func (p *buildPayload) ClientMutationID() *string { return p.clientMutationID }
func (p *buildPayload) Build() *build             { return p.build }
func (p *buildPayload) Annotation() *annotation   { return p.annotation }

// BuildCancel cancels what is left of a build.
func (r *root) BuildCancel(args struct{ Input identified }) (*buildPayload, error) {
	uuid, ok := state.ParseGlobalID("Build", string(args.Input.ID))
	if !ok {
		return nil, errors.New("No build found") //nolint:staticcheck // as Buildkite writes it
	}
	canceled, err := r.store.CancelBuild(uuid, byGraphQL)
	if err != nil {
		return nil, err
	}
	return &buildPayload{clientMutationID: args.Input.ClientMutationID, build: &build{Build: canceled, store: r.store}}, nil
}
