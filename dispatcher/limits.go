package dispatcher

import "time"

// Limits bound what a dispatcher does at a time, and for how long. Zero values
// mean no limit for MaxInFlight, and are not valid for the others but where it
// is said.
type Limits struct {
	// MaxInFlight is the most pods, of all queues, whose agent has not ended.
	MaxInFlight int
	// Concurrency is the most pods being created at once.
	Concurrency int
	// PollInterval is the time between polls of Buildkite. Of a long queue parts are
	// listed, each as soon as the one before is nearly used up.
	PollInterval time.Duration
	// CancelInterval is the time between looks for withdrawn jobs while few pods
	// wait. Zero means the default of 5 s.
	CancelInterval time.Duration
	// JobTTL is how long a finished pod is kept.
	JobTTL time.Duration
	// AnnotateAfter is how long a job waits before its build says why; 0 is
	// never.
	AnnotateAfter time.Duration
	// Patience is how long pods may be in trouble.
	Patience Patience
	// SharedQueues is set if other clusters serve the same queues: a job that
	// only this cluster cannot run is left to them.
	SharedQueues bool
	// CompatibleStatus has failed jobs all end with status -1, as those of the
	// existing product do.
	CompatibleStatus bool
}

// Patience bounds how long jobs and pods may be in trouble before the job fails.
type Patience struct {
	// Permanent is for what waiting does not mend: time for a Secret or an image
	// that is created together with the job. Default 30 s.
	Permanent time.Duration
	// Pending is for everything else. Default 15 minutes.
	Pending time.Duration
	// Pulling is for a pod whose images are being pulled without an error.
	// Default an hour.
	Pulling time.Duration
	// Agent is how long the job may stay scheduled once its pod's containers
	// have started. Default 10 minutes.
	Agent time.Duration
	// Missing is for a ServiceAccount or a PodTemplate that the job names and
	// that is not there. Default a minute.
	Missing time.Duration
	// Unknown is for refusals that this program does not know. Default 10
	// minutes.
	Unknown time.Duration
	// Terminating is how long after its grace period a pod may take to go before
	// it is deleted by force; 0 is for ever. Default 10 minutes.
	Terminating time.Duration
}

// DefaultPatience is what people expect of a dispatcher.
var DefaultPatience = Patience{
	Permanent: 30 * time.Second, Pending: 15 * time.Minute, Pulling: time.Hour, Agent: 10 * time.Minute,
	Missing: time.Minute, Unknown: 10 * time.Minute, Terminating: 10 * time.Minute,
}

// refusal is how long to hold a job for a verdict of limited patience.
func (p Patience) refusal(verdict Verdict) time.Duration {
	switch verdict.Cause {
	case CauseServiceAccount, CausePodTemplate:
		return p.Missing
	case CauseForbidden:
		return p.Unknown
	default:
		return verdict.Patience
	}
}
