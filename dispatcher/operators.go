package dispatcher

// Areas of problems, each of a queue.
const (
	areaCluster   = "cluster"
	areaPods      = "pods"
	areaPreflight = "preflight"
)

// clusters are the causes that another cluster need not have: with queues that
// are shared, such a job is left to them.
var clusters = map[string]bool{
	CauseQuotaTooSmall: true, CauseQuotaMustSpecify: true, CauseLimitRange: true, CausePodSecurity: true, CausePriorityClass: true,
	CauseRuntimeClass: true, CauseServiceAccount: true, CausePodTemplate: true, CausePolicy: true, CauseForbidden: true,
	CauseEndedWithoutARun: true, CauseAgentSilent: true,
	CauseImageForbidden: true, CauseImageLimit: true, CauseImagePull: true, CauseContainerConfig: true,
	CauseUnschedulable: true, CausePending: true, CauseEvicted: true, CausePreempted: true,
	CauseNodeLost: true, CauseNodeShutdown: true, CauseNodeRefused: true,
}

func isClusters(cause string) bool {
	return clusters[cause]
}
