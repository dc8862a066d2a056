package diagnosis

// Exit statuses of jobs that the dispatcher fails. All lie in 193 to 223, which
// neither shells nor signals use, so that a step's retry rules can tell them
// from the job's own. Their signal reason is StackErrorReason.
const (
	// ExitRejected: the job's pod cannot be made, or the cluster will not have
	// it. Somebody has to change something first; retrying does not help.
	ExitRejected = 193
	// ExitNeverRan: pods of the job ended several times without running it, or
	// their agent never took it.
	ExitNeverRan = 194
	// ExitImage: there is no such image, or the cluster may not pull it. Somebody
	// has to change something first.
	ExitImage = 195
	// ExitContainer: a container could not be set up or started.
	ExitContainer = 196
	// ExitBefore: an init container or a sidecar failed, before the job.
	ExitBefore = 197
	// ExitPending: the pod's containers did not start in time.
	ExitPending = 198
	// ExitNode: the node ended the pod before the job began. Retrying helps.
	ExitNode = 199
	// ExitDeadline: the pod got too old before the job began.
	ExitDeadline = 200
	// ExitImagePull: an image could not be pulled for now: its registry does not
	// answer, or limits how often it may be asked. Retrying helps.
	ExitImagePull = 201
)

// ExitStatuses are those of troubles with a pod, by cause.
var ExitStatuses = map[string]int{
	CauseImageName:       ExitImage,
	CauseImageMissing:    ExitImage,
	CauseImageForbidden:  ExitImage,
	CauseImageLimit:      ExitImagePull,
	CauseImagePull:       ExitImagePull,
	CauseContainerConfig: ExitContainer,
	CauseContainerCreate: ExitContainer,
	CauseInitFailed:      ExitBefore,
	CauseServiceFailed:   ExitBefore,
	CauseUnschedulable:   ExitPending,
	CausePending:         ExitPending,
	CauseEvicted:         ExitNode,
	CausePreempted:       ExitNode,
	CauseNodeLost:        ExitNode,
	CauseNodeShutdown:    ExitNode,
	CauseNodeRefused:     ExitNode,
	CauseDeadline:        ExitDeadline,
	CauseAgentSilent:     ExitNeverRan,
}

// StackErrorReason is the signal reason of every job that the dispatcher
// fails.
const StackErrorReason = "stack_error"

// ExitStatus is that of a job that fails for this.
func (t *Trouble) ExitStatus() int {
	return ExitStatuses[t.Cause]
}
