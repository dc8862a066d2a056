package simulator

import (
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/control"
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
	// Report is what the oracle says about all jobs.
	Report = state.Report
)
