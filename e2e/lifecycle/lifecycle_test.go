// Package lifecycle starts, kills and stops the local cluster and looks at what
// is left. It needs root and takes down a cluster that runs; `make test` runs it.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/e2e/cluster"
	"github.com/buildkite/agent-stack-k8s/e2e/images"
	"github.com/buildkite/agent-stack-k8s/e2e/stack"
)

func TestClusterStartsAfterSIGKILLAndLeavesNothing(t *testing.T) {
	bin := os.Getenv("E2E_BIN")
	if bin == "" {
		t.Fatal("E2E_BIN is not set; run `make test`, which builds the programs and sets it")
	}
	ctx := t.Context()
	if err := cluster.Down(ctx); err != nil {
		t.Fatal(err)
	}
	before := footprint(t)

	start(t, bin)
	podRuns(t, bin, "first")
	killed := killEverything(t)
	if killed < 8 {
		t.Fatalf("killed %d processes; a cluster has more, so the fault did not happen", killed)
	}
	if left := footprint(t); cmp.Equal(before, left) {
		t.Fatal("killing the cluster left nothing behind, so there is nothing to clean up")
	}

	began := time.Now()
	start(t, bin)
	podRuns(t, bin, "second")
	t.Logf("from %d killed processes to a pod that has run: %s", killed, time.Since(began).Round(100*time.Millisecond))

	if err := cluster.Down(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, footprint(t)); diff != "" {
		t.Errorf("the machine differs from before (-before +after):\n%s", diff)
	}
	if err := cluster.Down(ctx); err != nil {
		t.Errorf("stopping what does not run: %v", err)
	}
}

func start(t *testing.T, bin string) {
	t.Helper()
	running, err := cluster.Start(t.Context(), cluster.Options{Bin: bin})
	if err != nil {
		t.Fatal(err)
	}
	if running.Reused {
		t.Fatal("the cluster was taken for a running one")
	}
}

// podRuns leaves a pod that runs, with its mounts and network.
func podRuns(t *testing.T, bin, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	pulled, err := images.Push(ctx, cluster.Registry, images.Shell)
	if err != nil {
		t.Fatal(err)
	}
	kubectl := stack.Kubectl{Path: filepath.Join(bin, "kubectl"), Kubeconfig: cluster.Kubeconfig, Context: cluster.ContextName}
	for _, arguments := range [][]string{
		{"run", name, "--image=" + pulled[images.Shell], "--restart=Never", "--command", "--", "sh", "-c", "echo here; sleep 600"},
		{"wait", "--for=condition=Ready", "pod/" + name, "--timeout=90s"},
		{"exec", name, "--", "sh", "-c", "true"},
	} {
		if _, err := kubectl.Run(ctx, arguments...); err != nil {
			t.Fatal(err)
		}
	}
	if log, err := kubectl.Run(ctx, "logs", name); err != nil || log != "here\n" {
		t.Fatalf("log %q, error %v", log, err)
	}
}

// killEverything kills all that the cluster started, but no container: those
// survive their runtime, as they do when it crashes.
func killEverything(t *testing.T) int {
	t.Helper()
	pids := clusterProcesses(t)
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
	return len(pids)
}

func clusterProcesses(t *testing.T) []int {
	t.Helper()
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, path := range environments {
		environment, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(environment), "AGENT_STACK_K8S_CLUSTER="+cluster.StateDir) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// counters are packet counts, in brackets.
var counters = regexp.MustCompile(`\[\d+:\d+\]`)

// footprint is everything on the machine that a cluster could leave behind.
func footprint(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{
		"processes": nil,
		"mounts":    lines(t, "awk", "{print $2}", "/proc/mounts"),
		"links":     lines(t, "ip", "-o", "link", "show"),
		"netns":     lines(t, "ip", "netns", "list"),
		"firewall":  lines(t, "iptables-save"),
		"cgroups":   lines(t, "find", "/sys/fs/cgroup", "-type", "d", "-path", "*agent-stack-k8s*"),
		"files":     lines(t, "find", "/var/lib", "/run", "/etc", "-maxdepth", "2", "-name", "*agent-stack-k8s*"),
	}
	for _, pid := range clusterProcesses(t) {
		found["processes"] = append(found["processes"], fmt.Sprint(pid))
	}
	// The number of a link and the counters change by themselves.
	for i, link := range found["links"] {
		_, found["links"][i], _ = strings.Cut(link, ": ")
	}
	// What is built in (:INPUT ACCEPT) appears with the first question; rules and
	// chains of one's own (:NAME -) do not.
	found["firewall"] = slices.DeleteFunc(found["firewall"], func(line string) bool {
		return !strings.HasPrefix(line, "-A") && !strings.Contains(line, " - ")
	})
	for i, line := range found["firewall"] {
		found["firewall"][i] = counters.ReplaceAllString(line, "")
	}
	return found
}

func lines(t *testing.T, program string, arguments ...string) []string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), program, arguments...).Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return strings.Split(strings.TrimSpace(string(output)), "\n")
}
