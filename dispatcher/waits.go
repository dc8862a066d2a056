package dispatcher

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// States of jobs in metrics.
const (
	stateWaiting = "waiting"
	stateHeld    = "held"
	statePending = "pending"
	stateRunning = "running"
)

// causeCapacity is what a job waits for that does not fit.
const causeCapacity = "capacity"

// wait is a job that has not begun, and why.
type wait struct {
	ref   jobRef
	queue *queue
	state string
	cause string
	since time.Time
	// words are the cluster's, or empty.
	words string
	// pod is the job's, or nil.
	pod *PodRecord
}

// waits returns all jobs that have not begun, as far as they are known, and
// counts those that run, by queue.
func (d *Dispatcher) waits() (waits []wait, running map[string]int) {
	running = map[string]int{}
	seen := map[string]bool{}
	for _, pod := range d.Pods.Own() {
		switch {
		case !pod.takesCapacity() || pod.DeletionTimestamp != nil:
			continue
		case pod.Started:
			running[d.queueOf(pod).name]++
		default:
			waits = append(waits, d.podWait(pod))
		}
		seen[pod.JobUUID()] = true
	}
	for _, held := range d.holds.all() {
		if !seen[held.ref.uuid] {
			seen[held.ref.uuid] = true
			waits = append(waits, wait{ref: held.ref, queue: held.queue, state: stateHeld, cause: held.cause, since: held.first})
		}
	}
	for _, job := range d.waiting.all() {
		if !seen[job.ref.uuid] {
			waits = append(waits, wait{ref: job.ref, queue: job.queue, state: stateWaiting, cause: causeCapacity, since: job.since})
		}
	}
	slices.SortFunc(waits, func(a, b wait) int {
		return cmp.Or(a.since.Compare(b.since), strings.Compare(a.ref.uuid, b.ref.uuid))
	})
	return waits, running
}

// podWait tells what a pod that has not started waits for.
func (d *Dispatcher) podWait(pod *PodRecord) wait {
	w := wait{
		ref:   jobRef{uuid: pod.JobUUID(), url: pod.JobURL, build: pod.Build},
		queue: d.queueOf(pod), state: statePending, cause: CausePending, since: pod.CreationTimestamp.Time, pod: pod,
	}
	if pod.Trouble != nil {
		w.cause, w.words = pod.Trouble.Cause, pod.Trouble.Message
	}
	return w
}

// waitWords say to a pipeline's author what a job waits for.
var waitWords = map[string]string{
	causeCapacity:          "waits for other jobs of the queue to end",
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

func (w wait) sentence() string {
	if words, known := waitWords[w.cause]; known {
		return words
	}
	return "waits for the cluster"
}
