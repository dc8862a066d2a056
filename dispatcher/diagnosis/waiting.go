package diagnosis

// CauseCapacity is what a job waits for that does not fit.
const CauseCapacity = "capacity"

// WaitWords say to a pipeline's author what a job waits for.
var WaitWords = map[string]string{
	CauseCapacity:          "waits for other jobs of the queue to end",
	CauseQuota:             "waits for room in the namespace's quota",
	CauseQuotaTooSmall:     "is larger than the namespace's quota",
	CauseMutator:           "waits for the cluster to take pods again",
	CauseMutatorMissing:    "waits for the cluster to take pods again",
	CauseBackstop:          "waits for the cluster to take pods again",
	CauseUnreachable:       "waits for the cluster to answer again",
	CauseServer:            "waits for the cluster to answer again",
	CauseBusy:              "waits for the cluster to answer again",
	CauseNamespace:         "waits for the namespace of jobs",
	CauseNamespaceEnding:   "waits for the namespace of jobs",
	CausePermission:        "waits for the cluster to take pods again",
	CauseServiceAccount:    "waits for its service account",
	CausePodTemplate:       "waits for its PodTemplate",
	CauseUnschedulable:     "waits for a node that can take its pod",
	CausePending:           "waits for its containers to start: an image is being pulled, or a volume mounted",
	CauseImageName:         "has an image whose name is none",
	CauseImageMissing:      "waits for an image that is not there",
	CauseImageForbidden:    "waits for an image that the cluster may not pull",
	CauseImageLimit:        "waits for an image: the registry limits how often the cluster may pull",
	CauseImagePull:         "waits for an image: the registry does not give it out",
	CauseContainerConfig:   "waits for a Secret or a ConfigMap",
	CauseContainerCreate:   "has a container that cannot be started",
	CauseInitFailed:        "has an init container that failed",
	CauseServiceFailed:     "has a sidecar that ends again and again",
	CauseEndedWithoutARun:  "waits for another try: its pod ended before it began",
	CauseFailureUnreported: "cannot run, and Buildkite could not be told why yet",
}

// Waiting says in words what a job waits for, for one cause.
func Waiting(cause string) string {
	if words, known := WaitWords[cause]; known {
		return words
	}
	return "waits for the cluster"
}
