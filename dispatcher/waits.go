package dispatcher

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
)

// States of jobs in metrics.
const (
	stateWaiting = "waiting"
	stateHeld    = "held"
	statePending = "pending"
	stateRunning = "running"
)

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
			waits = append(waits, wait{ref: held.ref, queue: held.queue, state: stateHeld, cause: held.cause, words: held.words, since: held.first})
		}
	}
	for _, job := range d.waiting.all() {
		if !seen[job.ref.uuid] {
			waits = append(waits, wait{ref: job.ref, queue: job.queue, state: stateWaiting, cause: CauseCapacity, since: job.since})
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
		ref:   jobRef{uuid: pod.JobUUID(), url: pod.JobURL(), build: pod.Build},
		queue: d.queueOf(pod), state: statePending, cause: CausePending, since: pod.CreationTimestamp.Time, pod: pod,
	}
	if pod.Trouble != nil {
		w.cause, w.words = pod.Trouble.Cause, pod.Trouble.Message
	}
	return w
}

func (w wait) sentence() string {
	return diagnosis.Waiting(w.cause)
}
