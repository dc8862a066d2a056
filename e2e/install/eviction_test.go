package install

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/e2e/cluster"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// drainAndEviction: a pod is evicted, and a node drained, while jobs run. The agent
// has time to end its job, and the build says what happened to it.
func drainAndEviction(t *testing.T) {
	const sleeps = `steps: [{label: %s, command: "echo begun; sleep 120", agents: {queue: kubernetes}}]`
	evicted, drained := start(t, fmt.Sprintf(sleeps, "evicted")), start(t, fmt.Sprintf(sleeps, "drained"))
	begun(t, evicted)
	begun(t, drained)

	began := time.Now()
	name := podOf(t, evicted.Commands()[0])
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: jobNamespace}}
	if err := api.CoreV1().Pods(jobNamespace).EvictV1(t.Context(), eviction); err != nil {
		t.Fatal(err)
	}
	endsEvicted(t, evicted, began)

	t.Cleanup(func() { _, _ = kube.Run(context.Background(), "uncordon", cluster.NodeName) })
	began = time.Now()
	kubectl(t, "drain", cluster.NodeName, "--pod-selector=buildkite.com/job-uuid", "--force", "--delete-emptydir-data", "--timeout=100s")
	endsEvicted(t, drained, began)
	kubectl(t, "uncordon", cluster.NodeName)
	saysEvicted(t, evicted)
	saysEvicted(t, drained)
}

// podOf returns the name of the pod that runs a job.
func podOf(t *testing.T, job simulator.Job) string {
	t.Helper()
	return strings.TrimPrefix(strings.TrimSpace(kubectl(t, "-n", jobNamespace, "get", "pods", "-l", "buildkite.com/job-uuid="+job.UUID, "-o", "name")), "pod/")
}

// endsEvicted: the job has failed as one whose agent was stopped, in a way that
// rules for retries can match.
func endsEvicted(t *testing.T, build simulator.Build, began time.Time) {
	t.Helper()
	job := ends(t, build, "failed").Commands()[0]
	log, err := client.JobLog(t.Context(), job.UUID)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: exit status %v, signal reason %q, after %.1f s", job.Label, *job.ExitStatus, job.SignalReason, job.FinishedAt.Sub(began).Seconds())
	if !strings.Contains(log, "Kubernetes is stopping this pod") {
		t.Errorf("the job's log does not say why it ended:\n%s", log)
	}
	if *job.ExitStatus != -1 || job.SignalReason != "agent_stop" {
		t.Errorf("the job ended with %d and %q, want -1 and agent_stop", *job.ExitStatus, job.SignalReason)
	}
}

func saysEvicted(t *testing.T, build simulator.Build) {
	t.Helper()
	eventually(t, "the build to say why", func(ctx context.Context) (bool, error) {
		annotations, err := client.Annotations(ctx, build.UUID)
		for _, annotation := range annotations {
			if strings.Contains(annotation.Body, "its pod was evicted while it ran") {
				return true, err
			}
		}
		return false, err
	})
}
