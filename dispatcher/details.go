package dispatcher

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
)

const (
	// maxEvents is how many events are quoted to an author.
	maxEvents = 8
	// logTailLines and logTailBytes bound what is quoted of a container's log.
	logTailLines = 20
	logTailBytes = 4 << 10
)

// PodDetails reads what the informer does not hold, for the few pods that are in
// trouble.
type PodDetails interface {
	// Events returns a pod's events, the oldest first.
	Events(ctx context.Context, pod *PodRecord) (PodEvents, error)
	// LogTail returns the last lines of a container's log.
	LogTail(ctx context.Context, pod *PodRecord, container string) (string, error)
}

// PodEvents are a pod's events, the oldest first.
type PodEvents []corev1.Event

// Text lists the last ones, a line each.
func (e PodEvents) Text() string {
	if len(e) == 0 {
		return ""
	}
	var text strings.Builder
	text.WriteString("The cluster's last events about the pod:")
	for _, event := range e[max(0, len(e)-maxEvents):] {
		fmt.Fprintf(&text, "\n%s %s: %s", event.Type, event.Reason, diagnosis.Limit(event.Message))
	}
	return text.String()
}

// Pulling reports whether an image is being pulled, and nothing has gone wrong
// since that began.
func (e PodEvents) Pulling() bool {
	for _, event := range slices.Backward(e) {
		switch {
		case event.Reason == "Pulling":
			return true
		case event.Type == corev1.EventTypeWarning, event.Reason == "Pulled":
			return false
		}
	}
	return false
}

var _ PodDetails = (*PodClient)(nil)

// Events reads the events of this very pod, not of an earlier one of its name.
func (c *PodClient) Events(ctx context.Context, pod *PodRecord) (PodEvents, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	list, err := c.client.CoreV1().Events(pod.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.Set{"involvedObject.uid": string(pod.UID)}.String(),
	})
	if err != nil {
		return nil, fmt.Errorf("list events of pod %s: %w", pod.Name, err)
	}
	events := list.Items
	slices.SortStableFunc(events, func(a, b corev1.Event) int { return cmp.Compare(lastSeen(a), lastSeen(b)) })
	return events, nil
}

// lastSeen is when an event last happened: the kubelet counts repetitions of
// one, the scheduler writes the newer form.
func lastSeen(event corev1.Event) int64 {
	if event.Series != nil {
		return event.Series.LastObservedTime.UnixNano()
	}
	if !event.LastTimestamp.IsZero() {
		return event.LastTimestamp.UnixNano()
	}
	return event.EventTime.UnixNano()
}

// LogTail reads the end of a container's log. Kubernetes keeps it as long as the
// pod.
func (c *PodClient) LogTail(ctx context.Context, pod *PodRecord, container string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	lines, bytes := int64(logTailLines), int64(logTailBytes)
	stream, err := c.client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: container, TailLines: &lines, LimitBytes: &bytes,
	}).Stream(ctx)
	if err != nil {
		return "", fmt.Errorf("read log of container %s of pod %s: %w", container, pod.Name, err)
	}
	defer func() { _ = stream.Close() }()
	text, err := io.ReadAll(io.LimitReader(stream, logTailBytes))
	if err != nil {
		return "", fmt.Errorf("read log of container %s of pod %s: %w", container, pod.Name, err)
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(text)), "�"), nil
}
