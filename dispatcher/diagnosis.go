package dispatcher

import "github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"

// What this package says of pods and answers is package diagnosis'.
type (
	Trouble = diagnosis.Trouble
	Verdict = diagnosis.Verdict
	Class   = diagnosis.Class
)

// Classes of verdicts.
const (
	Hold  = diagnosis.Hold
	Never = diagnosis.Never
)

// Causes of troubles, of losses and of jobs that wait or fail.
const (
	CauseImageName         = diagnosis.CauseImageName
	CauseImageMissing      = diagnosis.CauseImageMissing
	CauseImageForbidden    = diagnosis.CauseImageForbidden
	CauseImageLimit        = diagnosis.CauseImageLimit
	CauseImagePull         = diagnosis.CauseImagePull
	CauseContainerConfig   = diagnosis.CauseContainerConfig
	CauseContainerCreate   = diagnosis.CauseContainerCreate
	CauseInitFailed        = diagnosis.CauseInitFailed
	CauseServiceFailed     = diagnosis.CauseServiceFailed
	CauseUnschedulable     = diagnosis.CauseUnschedulable
	CausePending           = diagnosis.CausePending
	CauseEvicted           = diagnosis.CauseEvicted
	CausePreempted         = diagnosis.CausePreempted
	CauseNodeLost          = diagnosis.CauseNodeLost
	CauseNodeShutdown      = diagnosis.CauseNodeShutdown
	CauseNodeRefused       = diagnosis.CauseNodeRefused
	CauseDeadline          = diagnosis.CauseDeadline
	CauseAgentSilent       = diagnosis.CauseAgentSilent
	CauseOutOfMemory       = diagnosis.CauseOutOfMemory
	CauseDeleted           = diagnosis.CauseDeleted
	CauseDrained           = diagnosis.CauseDrained
	CauseUnreachable       = diagnosis.CauseUnreachable
	CauseServer            = diagnosis.CauseServer
	CauseBusy              = diagnosis.CauseBusy
	CauseConflict          = diagnosis.CauseConflict
	CauseQuota             = diagnosis.CauseQuota
	CauseQuotaTooSmall     = diagnosis.CauseQuotaTooSmall
	CauseQuotaMustSpecify  = diagnosis.CauseQuotaMustSpecify
	CauseLimitRange        = diagnosis.CauseLimitRange
	CausePodSecurity       = diagnosis.CausePodSecurity
	CausePriorityClass     = diagnosis.CausePriorityClass
	CauseRuntimeClass      = diagnosis.CauseRuntimeClass
	CauseServiceAccount    = diagnosis.CauseServiceAccount
	CausePodTemplate       = diagnosis.CausePodTemplate
	CausePolicy            = diagnosis.CausePolicy
	CauseMutator           = diagnosis.CauseMutator
	CauseMutatorMissing    = diagnosis.CauseMutatorMissing
	CauseBackstop          = diagnosis.CauseBackstop
	CauseNamespace         = diagnosis.CauseNamespace
	CauseNamespaceEnding   = diagnosis.CauseNamespaceEnding
	CausePermission        = diagnosis.CausePermission
	CauseForbidden         = diagnosis.CauseForbidden
	CauseInvalid           = diagnosis.CauseInvalid
	CauseTooLarge          = diagnosis.CauseTooLarge
	CauseEndedWithoutARun  = diagnosis.CauseEndedWithoutARun
	CauseForeignPod        = diagnosis.CauseForeignPod
	CauseFailureUnreported = diagnosis.CauseFailureUnreported
	CauseCapacity          = diagnosis.CauseCapacity
)

// Exit statuses of jobs that the dispatcher fails, and their signal reason.
const (
	ExitRejected     = diagnosis.ExitRejected
	ExitNeverRan     = diagnosis.ExitNeverRan
	ExitImage        = diagnosis.ExitImage
	ExitImagePull    = diagnosis.ExitImagePull
	ExitContainer    = diagnosis.ExitContainer
	ExitBefore       = diagnosis.ExitBefore
	ExitPending      = diagnosis.ExitPending
	ExitNode         = diagnosis.ExitNode
	ExitDeadline     = diagnosis.ExitDeadline
	StackErrorReason = diagnosis.StackErrorReason
)

// Classify decides what an error of creating a pod means.
func Classify(err error) Verdict {
	return diagnosis.Classify(err)
}
