package explain

import "time"

// State is where a job is. They are the same words in text and in JSON.
type State string

// The states.
const (
	// StateUnknown: nothing is known of the job.
	StateUnknown State = "unknown"
	// StateBlocked: Buildkite does not give the job to any agent yet.
	StateBlocked State = "blocked"
	// StateWaiting: the job is scheduled and has no pod.
	StateWaiting State = "waiting"
	// StateGated: a scheduling gate keeps the pod from a node.
	StateGated State = "gated"
	// StatePending: the pod has no node.
	StatePending State = "pending"
	// StateStarting: the pod's containers start.
	StateStarting State = "starting"
	// StateStuck: something is wrong that keeps the containers from starting.
	StateStuck State = "stuck"
	// StateStarted: all containers run; Buildkite has not said that the job does.
	StateStarted State = "started"
	// StateRunning: the job runs.
	StateRunning State = "running"
	// StateEnded: the job has ended, with the status of its own commands.
	StateEnded State = "ended"
	// StateFailed: the job has ended without its commands having run.
	StateFailed State = "failed"
	// StateLost: the pod, or a container of it, was ended from outside.
	StateLost State = "lost"
	// StateWithdrawn: the job was cancelled or has expired.
	StateWithdrawn State = "withdrawn"
)

// Report is what is known of a job.
type Report struct {
	// Job is Buildkite's side of it.
	Job JobReport `json:"job"`
	// Pod is the cluster's; nil if there is none.
	Pod *PodReport `json:"pod,omitempty"`

	State State `json:"state"`
	// Summary is where the job is, in a sentence without its end.
	Summary string `json:"summary"`
	// Since is when it came there.
	Since time.Time `json:"since,omitzero"`
	// Cause is the short code of docs/failures.md, "" if nothing is wrong.
	Cause string `json:"cause,omitempty"`
	// Why are the words of whoever knows: Kubernetes, the dispatcher, Buildkite.
	Why []string `json:"why,omitempty"`
	// Next is what to do, first things first.
	Next []string `json:"next"`

	Phases     []Phase     `json:"phases,omitempty"`
	Containers []Container `json:"containers,omitempty"`
	// Events are the cluster's last ones about the pod.
	Events []string `json:"events,omitempty"`
	// Looked is where it was looked, and what could not be seen.
	Looked []string `json:"looked"`
}

// JobReport is what is known of the job itself.
type JobReport struct {
	UUID string `json:"uuid,omitempty"`
	URL  string `json:"url,omitempty"`
	// State is Buildkite's, "" without a token.
	State        string `json:"state,omitempty"`
	ExitStatus   string `json:"exitStatus,omitempty"`
	SignalReason string `json:"signalReason,omitempty"`
	Agent        string `json:"agent,omitempty"`
}

// PodReport names the job's pod.
type PodReport struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Node      string `json:"node,omitempty"`
	Queue     string `json:"queue"`
	// Attempt is which of the job's pods it is, from 1.
	Attempt int       `json:"attempt"`
	Created time.Time `json:"created"`
}

// Phase is a part of a job's way, in order.
type Phase struct {
	Name    string    `json:"name"`
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"`
	// Running is set while it lasts.
	Running bool `json:"running,omitempty"`
}

// Container is one of the pod's.
type Container struct {
	Name  string `json:"name"`
	Role  string `json:"role"`
	Image string `json:"image"`
	// State is in words.
	State string `json:"state"`
	// IsTrouble is set if it is what is wrong.
	IsTrouble bool `json:"trouble,omitempty"`
}
