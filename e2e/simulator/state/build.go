package state

import (
	"fmt"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
)

// BuildState is a build's state, in lower case.
type BuildState string

// States of builds.
const (
	BuildScheduled BuildState = "scheduled"
	BuildRunning   BuildState = "running"
	BuildFailing   BuildState = "failing"
	BuildPassed    BuildState = "passed"
	BuildFailed    BuildState = "failed"
	BuildCanceling BuildState = "canceling"
	BuildCanceled  BuildState = "canceled"
)

// Ended reports whether nothing more happens in this state.
func (s BuildState) Ended() bool {
	return s == BuildPassed || s == BuildFailed || s == BuildCanceled
}

type build struct {
	uuid, url               string
	number                  int
	pipeline                *pipelineRecord
	cluster                 *cluster // nil outside clusters
	branch, commit, message string
	env                     map[string]string
	jobs                    []*job // in the order of the steps
	metaData                map[string]string
	annotations             []*annotation
	canceled                bool
	createdAt, canceledAt   time.Time
}

// NewBuild is what a build is made from.
type NewBuild struct {
	// Pipeline is the steps.
	Pipeline pipeline.Pipeline
	// Slug names the pipeline. Default "pipeline".
	Slug string
	// Cluster is the name or UUID of the pipeline's cluster. Empty is the first, if
	// there is one; "none" is outside any cluster.
	Cluster                             string
	Branch, Commit, Message, Repository string
	Env, MetaData                       map[string]string
}

// Unclustered is the NewBuild.Cluster of pipelines outside any cluster.
const Unclustered = "none"

// Build is a copy of a build with its jobs in the order of the steps.
type Build struct {
	UUID         string            `json:"uuid"`
	Number       int               `json:"number"`
	URL          string            `json:"url"`
	PipelineSlug string            `json:"pipeline_slug"`
	State        BuildState        `json:"state"`
	Branch       string            `json:"branch"`
	Commit       string            `json:"commit"`
	Message      string            `json:"message"`
	Env          map[string]string `json:"env,omitempty"`
	CreatedAt    time.Time         `json:"created_at"`
	StartedAt    time.Time         `json:"started_at,omitzero"`
	FinishedAt   time.Time         `json:"finished_at,omitzero"`
	CanceledAt   time.Time         `json:"canceled_at,omitzero"`
	Jobs         []Job             `json:"jobs,omitempty"`
}

// Commands returns the build's command jobs.
func (b Build) Commands() []Job {
	var result []Job
	for _, j := range b.Jobs {
		if j.Type == TypeCommand {
			result = append(result, j)
		}
	}
	return result
}

// CreateBuild makes a build and its jobs and schedules those that wait for
// nothing. A build that cannot be made is a Problem.
func (s *Store) CreateBuild(request NewBuild) (Build, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.builds) >= maxBuilds {
		return Build{}, unprocessable("the simulator holds %d builds and no more; start it anew", maxBuilds)
	}
	record, err := s.pipelineFor(request)
	if err != nil {
		return Build{}, err
	}
	b := &build{
		uuid: newUUID(), number: record.lastNumber + 1, pipeline: record, cluster: record.cluster,
		branch: orDefault(request.Branch, "main"), commit: orDefault(request.Commit, "HEAD"), message: request.Message,
		env: merge(request.Pipeline.Env, request.Env), metaData: merge(request.MetaData), createdAt: time.Now(),
	}
	b.resolveCommit()
	b.url = fmt.Sprintf("%s/%s/%s/builds/%d", s.options.PublicURL, s.organization.slug, record.slug, b.number)
	jobs, err := s.makeJobs(b, request.Pipeline.Steps, nil)
	if err != nil {
		return Build{}, err
	}
	record.lastNumber++
	s.builds = append(s.builds, b)
	s.buildByUUID[b.uuid] = b
	b.jobs = jobs
	s.register(jobs)
	s.advance(b)
	return b.snapshot(true), nil
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// pipelineFor finds or makes the pipeline; the latest repository counts.
func (s *Store) pipelineFor(request NewBuild) (*pipelineRecord, error) {
	var c *cluster
	switch request.Cluster {
	case "":
		c = s.firstCluster()
	case Unclustered:
	default:
		if c = s.cluster(request.Cluster); c == nil {
			return nil, notFound("no cluster %q", request.Cluster)
		}
	}
	slug := orDefault(request.Slug, "pipeline")
	for _, record := range s.organization.pipelines {
		if record.slug == slug {
			record.cluster = c
			record.repository = orDefault(request.Repository, record.repository)
			return record, nil
		}
	}
	record := &pipelineRecord{uuid: fixedUUID("pipeline/" + slug), slug: slug, repository: request.Repository, cluster: c}
	s.organization.pipelines = append(s.organization.pipelines, record)
	return record, nil
}

// Build returns a build with its jobs.
func (s *Store) Build(uuid string) (Build, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buildByUUID[uuid]
	if !ok {
		return Build{}, false
	}
	return b.snapshot(true), true
}

// BuildByNumber returns a build with its jobs.
func (s *Store) BuildByNumber(slug string, number int) (Build, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.builds {
		if b.pipeline.slug == slug && b.number == number {
			return b.snapshot(true), true
		}
	}
	return Build{}, false
}

// Builds returns the latest builds, newest first, without their jobs.
func (s *Store) Builds(limit int) []Build {
	s.mu.Lock()
	defer s.mu.Unlock()
	var result []Build
	for i := len(s.builds) - 1; i >= 0 && len(result) < limit; i-- {
		result = append(result, s.builds[i].snapshot(false))
	}
	return result
}

// BuildSummary returns a build without what takes a look at its jobs: state,
// beginning and end.
func (s *Store) BuildSummary(uuid string) (Build, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buildByUUID[uuid]
	if !ok {
		return Build{}, false
	}
	return b.summary(), true
}

// Pipeline is a copy of a pipeline.
type Pipeline struct {
	UUID        string `json:"uuid"`
	Slug        string `json:"slug"`
	URL         string `json:"url"`
	Repository  string `json:"repository"`
	ClusterUUID string `json:"cluster_uuid,omitempty"`
}

// Pipeline returns a pipeline by its slug.
func (s *Store) Pipeline(slug string) (Pipeline, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, record := range s.organization.pipelines {
		if record.slug != slug {
			continue
		}
		result := Pipeline{
			UUID: record.uuid, Slug: slug, Repository: record.repository,
			URL: s.options.PublicURL + "/" + s.organization.slug + "/" + slug,
		}
		if record.cluster != nil {
			result.ClusterUUID = record.cluster.uuid
		}
		return result, true
	}
	return Pipeline{}, false
}
