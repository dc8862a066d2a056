package install

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/e2e/cluster"
)

// switchTime is how long the API server may go on asking a replica that is dead:
// until the kubelet has seen its end and the Service has one address less.
const switchTime = 10 * time.Second

// mutatorDeletedUnderLoad: a replica that is deleted by force costs no admission.
func mutatorDeletedUnderLoad(t *testing.T) {
	load := startLoad(t)
	time.Sleep(time.Second)
	kubectl(t, "-n", namespace, "delete", "pod", mutatorPods(t)[0].Name, "--grace-period=0", "--force")
	kubectl(t, "-n", namespace, "rollout", "status", "deployment/"+fullname+"-mutator", "--timeout=120s")
	time.Sleep(time.Second)
	load.stop(t)
}

// mutatorKilledUnderLoad: for as long as the API server asks a replica that has
// been killed, which tries once and no other replica, pods are refused; none gets
// past the mutator, and no job notices.
func mutatorKilledUnderLoad(t *testing.T) {
	pods := mutatorPods(t)
	load := startLoad(t)
	var killed time.Time
	for _, pod := range pods {
		time.Sleep(time.Second)
		build := start(t, oneJob)
		killed = time.Now()
		if err := syscall.Kill(processOf(t, pod.Status.ContainerStatuses[0].ContainerID), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		ends(t, build, "passed")
		eventually(t, "the replica to be back", func(ctx context.Context) (bool, error) {
			now, err := api.CoreV1().Pods(namespace).Get(ctx, pod.Name, metav1.GetOptions{})
			if err != nil {
				return false, fmt.Errorf("read the pod: %w", err)
			}
			status := now.Status.ContainerStatuses[0]
			return status.RestartCount > pod.Status.ContainerStatuses[0].RestartCount && status.Ready, nil
		})
	}
	time.Sleep(time.Second)
	for _, problem := range load.end(t) {
		if !strings.Contains(problem.text, "failed calling webhook") || problem.at.Sub(killed) > switchTime {
			t.Errorf("%s after the last kill: %s", problem.at.Sub(killed), problem.text)
		}
	}
}

// mutatorPods returns the replicas that serve. One that a rollout has replaced runs on
// for a moment.
func mutatorPods(t *testing.T) []corev1.Pod {
	t.Helper()
	pods, err := api.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=mutator", FieldSelector: "status.phase=Running"})
	if err != nil {
		t.Fatal(err)
	}
	serving := slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil })
	if len(serving) < 2 {
		t.Fatalf("%d replicas run", len(serving))
	}
	return serving
}

// processOf finds a container's only process on this machine, which is the node.
func processOf(t *testing.T, container string) int {
	t.Helper()
	_, id, _ := strings.Cut(container, "://")
	processes, err := cluster.ContainerProcesses(id)
	if err != nil {
		t.Fatal(err)
	}
	if len(processes) == 0 {
		t.Fatalf("container %s has no process", container)
	}
	return processes[0]
}
