package dispatcher

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
)

// Reasons of events on pods.
const (
	eventWaiting   = "JobWaiting"
	eventGivenUp   = "JobFailed"
	eventTakenBack = "PodTakenBack"
	eventWithdrawn = "JobWithdrawn"
	eventLost      = "JobLost"
)

// eventSource names this program in events.
const eventSource = "buildkite-dispatcher"

// newEventRecorder writes events to the cluster until the context ends. The
// library bounds them for each pod and drops what it cannot write.
func newEventRecorder(ctx context.Context, client kubernetes.Interface) (record.EventRecorder, func()) {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: eventSource}), broadcaster.Shutdown
}

// event writes an event on a pod.
func (d *Dispatcher) event(pod *PodRecord, reason, message string) {
	if d.Events == nil {
		return
	}
	kind := corev1.EventTypeWarning
	if reason == eventWithdrawn {
		kind = corev1.EventTypeNormal
	}
	d.Events.Event(&corev1.ObjectReference{
		Kind: "Pod", APIVersion: "v1", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
	}, kind, reason, diagnosis.Limit(message))
}
