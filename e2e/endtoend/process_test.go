package endtoend

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/cluster"
)

// killContainer kills a container's first process, as the kernel would: from
// outside, where nothing in the pod can do anything about it.
func killContainer(t *testing.T, pod, container string) time.Time {
	t.Helper()
	process := firstProcess(t, pod, container)
	killed := time.Now()
	if err := syscall.Kill(process, syscall.SIGKILL); err != nil {
		t.Fatalf("kill container %s: %v", container, err)
	}
	return killed
}

// firstProcess finds the process of a container that is number 1 in there.
func firstProcess(t *testing.T, name, container string) int {
	t.Helper()
	for _, process := range processesOf(t, name, container) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			numbers := strings.Fields(line)
			if numbers[0] == "NSpid:" && numbers[len(numbers)-1] == "1" {
				return process
			}
		}
	}
	t.Fatalf("no first process of container %s found", container)
	return 0
}

// processesOf lists the processes of a container, by the node's numbers.
func processesOf(t *testing.T, name, container string) []int {
	t.Helper()
	processes, err := cluster.ContainerProcesses(containerID(t, name, container))
	if err != nil {
		t.Fatal(err)
	}
	return processes
}

// childrenOf lists the children of a process.
func childrenOf(t *testing.T, process int) []int {
	t.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", process))
	if err != nil {
		t.Fatal(err)
	}
	var children []int
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for word := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, child)
		}
	}
	return children
}

// containerID is what the runtime calls a container of a pod.
func containerID(t *testing.T, name, container string) string {
	t.Helper()
	pod, err := getPod(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range pod.Status.ContainerStatuses {
		if _, id, found := strings.Cut(status.ContainerID, "://"); found && status.Name == container {
			return id
		}
	}
	t.Fatalf("container %s of pod %s has no ID", container, name)
	return ""
}

// processorTime is what all threads of a process have used of the processors
// since it began.
func processorTime(t *testing.T, process int) time.Duration {
	t.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", process))
	if err != nil || len(paths) == 0 {
		t.Fatalf("process %d has no threads: %v", process, err)
	}
	var total time.Duration
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		nanoseconds, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		total += time.Duration(nanoseconds)
	}
	return total
}
