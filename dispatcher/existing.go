package dispatcher

import "github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"

// standing is what a pod means for its job while the job is still scheduled.
type standing int

const (
	// standingNone: the pod does not matter; the job may have another.
	standingNone standing = iota
	// standingLive: the pod is about to run the job.
	standingLive
	// standingTerminating: the pod is going; its name is not free yet.
	standingTerminating
	// standingTaken: the pod's agent was refused the job, somebody else has it.
	standingTaken
	// standingEnded: the pod's agent ended without taking the job.
	standingEnded
	// standingForeign: a pod of somebody else's has the name of ours.
	standingForeign
)

// standingOf judges a pod for the scheduled job with this UUID.
func standingOf(pod *PodRecord, uuid, controllerID string) standing {
	hasOurName := pod.Name == jobpod.PodName(uuid)
	isForJob := pod.JobUUID() == uuid
	switch {
	case !isForJob && hasOurName:
		return standingForeign
	case !isForJob:
		return standingNone
	case pod.DeletionTimestamp != nil:
		return standingTerminating
	case !pod.Finished:
		return standingLive
	case !pod.OwnedBy(controllerID) && hasOurName:
		return standingForeign
	case !pod.OwnedBy(controllerID):
		return standingNone
	case pod.AgentExit == exitTaken:
		return standingTaken
	default:
		return standingEnded
	}
}
