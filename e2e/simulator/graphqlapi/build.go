package graphqlapi

import (
	"strings"

	graphql "github.com/graph-gophers/graphql-go"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

type build struct {
	state.Build
	store *state.Store
}

func findBuild(store *state.Store, uuid string) *build {
	found, ok := store.BuildSummary(uuid)
	if !ok {
		return nil
	}
	return &build{Build: found, store: store}
}

func (b *build) ID() graphql.ID              { return globalID("Build", b.Build.UUID) }
func (b *build) UUID() string                { return b.Build.UUID }
func (b *build) Number() int32               { return int32(b.Build.Number) }
func (b *build) URL() string                 { return b.Build.URL }
func (b *build) Branch() string              { return b.Build.Branch }
func (b *build) Commit() string              { return b.Build.Commit }
func (b *build) Message() *string            { return optional(b.Build.Message) }
func (b *build) CreatedAt() *dateTime        { return moment(b.Build.CreatedAt) }
func (b *build) CanceledAt() *dateTime       { return moment(b.Build.CanceledAt) }
func (b *build) Organization() *organization { return findOrganization(b.store) }
func (b *build) Pipeline() *pipelineNode     { return findPipeline(b.store, b.PipelineSlug) }

// progress looks at all jobs, which a summary does not.
func (b *build) progress() state.Build {
	found, _ := b.store.Build(b.Build.UUID)
	return found
}

func (b *build) State() string         { return strings.ToUpper(string(b.progress().State)) }
func (b *build) StartedAt() *dateTime  { return moment(b.progress().StartedAt) }
func (b *build) FinishedAt() *dateTime { return moment(b.progress().FinishedAt) }

func (b *build) Jobs(args jobsArguments) (*connection[*job], error) {
	filter := args.filter()
	filter.BuildUUID = b.Build.UUID
	return listJobs(b.store, filter, args.page())
}

type pipelineNode struct {
	state.Pipeline
	store *state.Store
}

func findPipeline(store *state.Store, slug string) *pipelineNode {
	found, ok := store.Pipeline(slug)
	if !ok {
		return nil
	}
	return &pipelineNode{Pipeline: found, store: store}
}

func (p *pipelineNode) ID() graphql.ID              { return globalID("Pipeline", p.Pipeline.UUID) }
func (p *pipelineNode) UUID() string                { return p.Pipeline.UUID }
func (p *pipelineNode) Slug() string                { return p.Pipeline.Slug }
func (p *pipelineNode) Name() string                { return p.Pipeline.Slug }
func (p *pipelineNode) URL() string                 { return p.Pipeline.URL }
func (p *pipelineNode) DefaultBranch() *string      { return optional("main") }
func (p *pipelineNode) Organization() *organization { return findOrganization(p.store) }
func (p *pipelineNode) Cluster() *cluster           { return findCluster(p.store, p.ClusterUUID) }
func (p *pipelineNode) Repository() *repository     { return &repository{p.Pipeline.Repository} }

type repository struct{ url string }

func (r *repository) URL() string { return r.url }
