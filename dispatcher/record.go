package dispatcher

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// exitTaken is the agent's exit status when Buildkite refuses it the job: it
// runs elsewhere, was cancelled, or has ended.
const exitTaken = 27

// PodRecord is what the dispatcher remembers of a pod. It holds a few hundred
// bytes where the pod itself holds tens of thousands; text that many pods have
// in common is held once.
type PodRecord struct {
	// ObjectMeta has names, UID, version and times; the rest is dropped.
	metav1.ObjectMeta
	// job and controllerID are the labels that say whose the pod is.
	job, controllerID string
	// Gated is set while our scheduling gate holds the pod.
	Gated bool
	// Injected is set if the pod has the mutator's receipt.
	Injected bool
	// Started is set once every container has started, so that the agent may
	// have acquired the job.
	Started bool
	// Finished is set once the agent has ended, or the pod as a whole.
	Finished bool
	// AgentExit is the agent's exit status; 0 also for an agent that never ran.
	AgentExit int32
	// FinishedAt is when the agent or the pod ended.
	FinishedAt time.Time
	// StartedAt is when the last container started, if all have.
	StartedAt time.Time
	// Trouble is what keeps the pod from running its job, or nil.
	Trouble *Trouble
	// Loss is what ended the pod, or a container of it, once all had started;
	// nil if nothing but the job itself did.
	Loss *Trouble
	// Queue is the queue that the pod was made for.
	Queue string
	// Attempt is which of its job's pods it is, from 1.
	Attempt int
	// ResourceClass is the job's, for its failure.
	ResourceClass string
	// Build is the job's build.
	Build BuildRef
	// jobURL is empty if it follows from the build.
	jobURL string
}

// terminatingPatience is how much longer than its grace period a pod may take to
// end before it counts as gone: its node does not answer any more.
const terminatingPatience = time.Minute

// takesCapacity reports whether the pod counts as one in flight.
func (r *PodRecord) takesCapacity() bool {
	return !r.Finished && !r.isStuck(terminatingPatience)
}

// isStuck reports whether the pod should have been gone for so long.
func (r *PodRecord) isStuck(patience time.Duration) bool {
	return r.DeletionTimestamp != nil && time.Since(r.DeletionTimestamp.Time) > patience
}

// Job returns what the pod tells of its job: enough to fail it.
func (r *PodRecord) Job() jobpod.Job {
	job := jobpod.Job{UUID: r.JobUUID(), URL: r.JobURL()}
	if r.Build != (BuildRef{}) {
		job.Env = []string{buildUUIDVariable + "=" + r.Build.UUID, buildURLVariable + "=" + r.Build.URL}
	}
	if r.ResourceClass != "" {
		job.Rules = []string{jobpod.ResourceClassKey + "=" + r.ResourceClass}
	}
	return job
}

// JobUUID returns the UUID of the pod's job, or "".
func (r *PodRecord) JobUUID() string {
	return r.job
}

// JobURL returns where Buildkite shows the job, or "".
func (r *PodRecord) JobURL() string {
	return cmp.Or(r.jobURL, jobURL(r.Build, r.job))
}

// jobURL is how Buildkite forms the address of a build's job.
func jobURL(build BuildRef, job string) string {
	if build.URL == "" {
		return ""
	}
	return build.URL + "#" + job
}

// OwnedBy reports whether the dispatcher with this id made the pod.
func (r *PodRecord) OwnedBy(controllerID string) bool {
	return r.controllerID == controllerID
}

// NewPodRecord takes from a pod what the dispatcher needs to know.
func NewPodRecord(pod *corev1.Pod) *PodRecord {
	run := diagnosis.RunOf(pod)
	record := &PodRecord{
		ObjectMeta: metav1.ObjectMeta{
			Name:              pod.Name,
			Namespace:         shared(pod.Namespace),
			UID:               pod.UID,
			ResourceVersion:   pod.ResourceVersion,
			CreationTimestamp: pod.CreationTimestamp,
			DeletionTimestamp: pod.DeletionTimestamp,
		},
		controllerID: shared(pod.Labels[contract.ControllerIDLabel]),

		Gated:    slices.ContainsFunc(pod.Spec.SchedulingGates, func(gate corev1.PodSchedulingGate) bool { return gate.Name == contract.Gate }),
		Injected: pod.Annotations[contract.InjectedAnnotation] != "",
		Started:  run.Started,
		Trouble:  diagnosis.TroubleOf(pod),
		Queue:    shared(queueName(pod)),
		Attempt:  attemptOf(pod),

		Build:         BuildRef{UUID: shared(pod.Annotations[contract.BuildUUIDAnnotation]), URL: shared(pod.Annotations[contract.BuildURLAnnotation])},
		ResourceClass: shared(pod.Annotations[contract.ResourceClassAnnotation]),
	}
	record.job = pod.Labels[contract.JobUUIDLabel]
	if inName := strings.TrimPrefix(pod.Name, contract.JobPrefix); inName == record.job {
		// The name holds it already.
		record.job = inName
	}
	if url := pod.Annotations[contract.JobURLAnnotation]; url != jobURL(record.Build, record.job) {
		record.jobURL = url
	}
	record.Finished, record.AgentExit = run.Finished, run.AgentExit
	record.StartedAt, record.FinishedAt = run.StartedAt, run.FinishedAt
	record.Loss = diagnosis.LossOf(pod)
	return record
}

// shared returns a text that all who ask for it share.
func shared(text string) string {
	return unique.Make(text).Value()
}

// queueName is the queue that a pod's agent registers with. Not every queue's
// name can be a label.
func queueName(pod *corev1.Pod) string {
	if name, isLabel := pod.Labels[contract.TagLabelPrefix+jobpod.QueueKey]; isLabel {
		return name
	}
	tags, err := jobpod.ParseTags(strings.Split(pod.Annotations[contract.AgentTagsAnnotation], ","))
	if err != nil {
		return jobpod.DefaultQueue
	}
	return tags.Queue()
}

func attemptOf(pod *corev1.Pod) int {
	attempt, err := strconv.Atoi(pod.Annotations[contract.AttemptAnnotation])
	if err != nil {
		return 1
	}
	return max(attempt, 1)
}

// localRecord is NewPodRecord with all times in this program's.
func localRecord(pod *corev1.Pod, clock *ClusterClock) *PodRecord {
	record := NewPodRecord(pod)
	record.CreationTimestamp.Time = clock.local(record.CreationTimestamp.Time)
	if record.DeletionTimestamp != nil {
		record.DeletionTimestamp = &metav1.Time{Time: clock.local(record.DeletionTimestamp.Time)}
	}
	record.StartedAt, record.FinishedAt = clock.local(record.StartedAt), clock.local(record.FinishedAt)
	for _, trouble := range []*Trouble{record.Trouble, record.Loss} {
		if trouble != nil {
			trouble.Since = clock.local(trouble.Since)
		}
	}
	return record
}

// trimPod is the informer's transform. It is given its own results too.
func (c *PodCache) trimPod(object any) (any, error) {
	switch object := object.(type) {
	case *corev1.Pod:
		return localRecord(object, c.clock), nil
	case *PodRecord:
		return object, nil
	default:
		return nil, fmt.Errorf("trim pod: unexpected %T", object)
	}
}
