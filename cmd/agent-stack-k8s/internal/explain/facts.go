package explain

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/buildkite"
)

// Facts are all that was found out about a job. What could not be is empty.
type Facts struct {
	// UUID is the job's.
	UUID string
	// Pod is the last pod of the job, Events its events, the oldest first.
	Pod    *corev1.Pod
	Events []corev1.Event
	// Job is the job by Buildkite's word; JobKnown is set if Buildkite was asked.
	Job      *buildkite.Job
	JobKnown bool
	// Log is what the dispatcher's log says of the job, the oldest first.
	Log []LogLine
	// Dispatchers are those of the cluster.
	Dispatchers []DispatcherFacts
	// Looked is where it was looked.
	Looked []string
	// Now is when.
	Now time.Time
}

// LogLine is a line of a dispatcher's log about the job.
type LogLine struct {
	Message, Cause, Error, Advice string
	At                            time.Time
}

// DispatcherFacts are about one dispatcher.
type DispatcherFacts struct {
	// Name is namespace/name of its Deployment.
	Name string
	// Leads is set while a replica of it holds the Lease.
	Leads bool
	// Serves is set if one of its queues takes the job. IsOfAnotherCluster is set
	// if it would, and the job is of another Buildkite cluster than those queues.
	Serves, IsOfAnotherCluster bool
	// Cluster is the UUID of the queues' Buildkite cluster; empty is none.
	Cluster string
	// Queues are those that it serves.
	Queues []string
	// InFlight and MaxInFlight are pods whose job has not ended; 0 is no limit.
	InFlight, MaxInFlight int
}
