package endtoend

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// eventually asks until it is so.
func eventually(t *testing.T, what string, ask func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last error
	for {
		done, err := ask(ctx)
		if done && err == nil {
			return
		}
		// That the time was up is no news.
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s for %s; last error %v\n%s", patience, what, last, clusterState(t))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// clusterState is what a person would look at.
func clusterState(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var text strings.Builder
	for _, arguments := range [][]string{
		{"get", "pods", "-A", "-o", "wide"},
		{"-n", jobNamespace, "get", "events", "--sort-by=.lastTimestamp"},
		{"-n", systemNamespace, "logs", "deployment/dispatcher", "--all-pods", "--tail=30"},
		{"-n", systemNamespace, "logs", "deployment/mutator", "--all-pods", "--tail=10"},
	} {
		output, err := kube.Run(ctx, arguments...)
		text.WriteString("$ kubectl " + strings.Join(arguments, " ") + "\n" + output)
		if err != nil {
			text.WriteString(err.Error() + "\n")
		}
	}
	return text.String()
}

// kubectl runs it in the namespace of jobs.
func kubectl(t *testing.T, arguments ...string) string {
	t.Helper()
	return kubectlIn(t, jobNamespace, arguments...)
}

func kubectlIn(t *testing.T, namespace string, arguments ...string) string {
	t.Helper()
	output, err := kube.Run(t.Context(), append([]string{"-n", namespace}, arguments...)...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// apply creates an object in the namespace of jobs as a person would, and returns
// its name.
func apply(t *testing.T, manifest string) string {
	t.Helper()
	output, err := create(t, jobNamespace, manifest)
	if err != nil {
		t.Fatal(err)
	}
	_, name, _ := strings.Cut(strings.TrimSpace(output), "/")
	t.Cleanup(func() {
		_, _ = kube.Run(context.Background(), "-n", jobNamespace, "delete", "pod", name, "--wait=false", "--ignore-not-found")
	})
	return name
}

// tryApply returns what stands in the way.
func tryApply(t *testing.T, namespace, manifest string) error {
	t.Helper()
	_, err := create(t, namespace, manifest)
	return err
}

func create(t *testing.T, namespace, manifest string) (string, error) {
	t.Helper()
	return kube.RunInput(t.Context(), manifest, "-n", namespace, "create", "-f", "-", "-o", "name")
}

func getPod(ctx context.Context, name string) (*corev1.Pod, error) {
	output, err := kube.Run(ctx, "-n", jobNamespace, "get", "pod", name, "-o", "json")
	if err != nil {
		return nil, err
	}
	var pod corev1.Pod
	return &pod, json.Unmarshal([]byte(output), &pod)
}

func waitPodEnded(t *testing.T, name string) {
	t.Helper()
	eventually(t, "pod "+name+" to end", func(ctx context.Context) (bool, error) {
		pod, err := getPod(ctx, name)
		if err != nil {
			return false, err
		}
		return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed, nil
	})
}

func podPhase(t *testing.T, name string) string {
	t.Helper()
	pod, err := getPod(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(pod.Status.Phase)
}

// containerStatuses returns the exit status of each container once all have
// ended.
func containerStatuses(t *testing.T, name string) map[string]int32 {
	t.Helper()
	waitPodEnded(t, name)
	pod, err := getPod(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	statuses := map[string]int32{}
	for _, each := range pod.Status.ContainerStatuses {
		if each.State.Terminated != nil {
			statuses[each.Name] = each.State.Terminated.ExitCode
		}
	}
	return statuses
}
