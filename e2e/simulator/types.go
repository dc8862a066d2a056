package simulator

import (
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/control"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/fault"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/graphqlapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/repository"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// What callers of the simulator handle, under one name.
type (
	// BuildRequest makes a build.
	BuildRequest = control.BuildRequest
	// RepositoryRequest makes a commit in a repository.
	RepositoryRequest = control.RepositoryRequest
	// Repository is where a repository is served, and its latest commit.
	Repository = control.Repository
	// File is a file of a repository.
	File = repository.File
	// Build is a build with its jobs.
	Build = state.Build
	// Job is a job.
	Job = state.Job
	// State is a job's state.
	State = state.State
	// Agent is a registered agent.
	Agent = state.Agent
	// Artifact is an uploaded file.
	Artifact = state.Artifact
	// Annotation is text on a build.
	Annotation = state.Annotation
	// Cluster is a cluster with its queues.
	Cluster = state.Cluster
	// Queue is a queue of a cluster.
	Queue = state.Queue
	// Record is everything that happened to a job.
	Record = state.Record
	// Event is one thing of it.
	Event = state.Event
	// ClusterRequest makes a cluster.
	ClusterRequest = control.ClusterRequest
	// TokenRequest adds or revokes a token.
	TokenRequest = control.TokenRequest
	// Fault is something that goes wrong on purpose.
	Fault = fault.Fault
	// RetriedJob is a job with the one that took its place.
	RetriedJob = control.RetriedJob
	// Verdict is what the oracle finds wrong, with sums.
	Verdict = state.Verdict
	// Limits are those on GraphQL queries.
	Limits = graphqlapi.Limits
	// Consumption is what one user has used.
	Consumption = graphqlapi.Consumption
	// Usage is what GraphQL queries have cost.
	Usage = graphqlapi.Usage
	// Report is what the oracle says about all jobs.
	Report = state.Report
)

// PublishedLimits returns Buildkite's limits on GraphQL queries: 50,000 points a
// query, and in five minutes 5,000 for a user and 20,000 for the organization.
func PublishedLimits() Limits { return graphqlapi.PublishedLimits() }
