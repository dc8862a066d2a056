package graphqlapi

import (
	"errors"
	"strings"

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

type annotateInput struct {
	Append           graphql.NullBool
	Body             *string
	BuildID          graphql.ID
	ClientMutationID *string
	Context          graphql.NullString
	Priority         graphql.NullInt
	Style            choice
}

// BuildAnnotate adds, replaces or extends an annotation of a build.
func (r *root) BuildAnnotate(args struct{ Input annotateInput }) (*buildPayload, error) {
	input := args.Input
	uuid, ok := state.ParseGlobalID("Build", string(input.BuildID))
	if !ok {
		return nil, errors.New("No build found") //nolint:staticcheck // as Buildkite writes it
	}
	added, err := r.store.Annotate(uuid, state.Annotation{
		Body: valueOf(input.Body), Context: valueOf(input.Context.Value),
		Style: strings.ToLower(string(input.Style)), Priority: int(valueOf(input.Priority.Value)),
	}, valueOf(input.Append.Value))
	if err != nil {
		return nil, err
	}
	return &buildPayload{clientMutationID: input.ClientMutationID, build: findBuild(r.store, uuid), annotation: &annotation{added}}, nil
}

type annotation struct{ state.Annotation }

func (a *annotation) ID() graphql.ID       { return globalID("Annotation", a.Annotation.UUID) }
func (a *annotation) UUID() graphql.ID     { return graphql.ID(a.Annotation.UUID) }
func (a *annotation) Context() string      { return a.Annotation.Context }
func (a *annotation) Priority() int32      { return int32(a.Annotation.Priority) }
func (a *annotation) CreatedAt() dateTime  { return dateTime{a.Annotation.CreatedAt} }
func (a *annotation) UpdatedAt() *dateTime { return moment(a.Annotation.UpdatedAt) }
func (a *annotation) Body() *body          { return &body{a.Annotation.Body} }

func (a *annotation) Style() *string {
	style := strings.ToUpper(a.Annotation.Style)
	return &style
}

type body struct{ text string }

func (b *body) Text() string { return b.text }
