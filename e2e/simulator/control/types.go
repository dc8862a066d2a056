package control

import (
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/repository"
)

// BuildRequest makes a build.
type BuildRequest struct {
	// Pipeline is the text of a pipeline.yml.
	Pipeline string `json:"pipeline"`
	// Interpolate has variables in it replaced from Env, as `buildkite-agent
	// pipeline upload` does.
	Interpolate bool `json:"interpolate,omitempty"`
	// Organization must be the simulator's; empty is that.
	Organization string `json:"organization,omitempty"`
	// Slug names the pipeline. Default "pipeline".
	Slug string `json:"slug,omitempty"`
	// Cluster is a cluster's name or UUID; "none" is outside clusters, empty the
	// first cluster.
	Cluster string `json:"cluster,omitempty"`
	Branch  string `json:"branch,omitempty"`
	Commit  string `json:"commit,omitempty"`
	Message string `json:"message,omitempty"`
	// Repository is a URL, or the bare name of one that the simulator serves.
	Repository string            `json:"repository,omitempty"`
	Env        map[string]string `json:"env,omitempty"`
	MetaData   map[string]string `json:"meta_data,omitempty"`
}

// RepositoryRequest makes a commit, and the repository if need be.
type RepositoryRequest struct {
	Name string `json:"name"`
	// Branch is where the commit goes. Default "main".
	Branch string `json:"branch,omitempty"`
	// Files are the whole content, by path.
	Files map[string]repository.File `json:"files"`
}

// Repository is the result.
type Repository struct {
	URL    string `json:"url"`
	Commit string `json:"commit"`
}

// QueueRequest pauses or resumes a queue.
type QueueRequest struct {
	// Cluster is a name or UUID; empty is the first.
	Cluster string `json:"cluster,omitempty"`
	Key     string `json:"key"`
	Paused  bool   `json:"paused"`
	Note    string `json:"note,omitempty"`
}

// ClusterRequest makes a cluster.
type ClusterRequest struct {
	Name string `json:"name"`
	// AgentToken is what its agents register with.
	AgentToken string `json:"agent_token"`
	// DefaultQueue is where its jobs and agents are that name none. Default as the
	// first cluster's.
	DefaultQueue string `json:"default_queue,omitempty"`
}

// TokenRequest adds or revokes a token.
type TokenRequest struct {
	// Kind is "graphql" or "agent".
	Kind    string `json:"kind"`
	Token   string `json:"token"`
	Revoked bool   `json:"revoked,omitempty"`
	// Cluster is that of an agent token: a name or UUID, empty for the first,
	// "none" for outside clusters.
	Cluster string `json:"cluster,omitempty"`
}

// AgentRequest directs an agent.
type AgentRequest struct {
	// Action is what the agent's pings are told: "idle", "pause" or "disconnect".
	// "lose" has it lost at once, as if it had been silent for too long.
	Action string `json:"action"`
}
