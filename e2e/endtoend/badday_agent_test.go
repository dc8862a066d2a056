package endtoend

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// openNamespace is where pods may choose the agent's image and token.
const openNamespace = "buildkite-open"

func openNamespaceForJobs(t *testing.T) {
	t.Helper()
	manifest := `
apiVersion: v1
kind: Namespace
metadata: {name: ` + openNamespace + `, labels: {buildkite.com/jobs: enabled}}
---
apiVersion: v1
kind: Secret
metadata: {name: buildkite-agent-token, namespace: ` + openNamespace + `}
stringData: {BUILDKITE_AGENT_TOKEN: ` + agentToken + `}
---
apiVersion: v1
kind: Secret
metadata: {name: revoked-token, namespace: ` + openNamespace + `}
stringData: {BUILDKITE_AGENT_TOKEN: revoked}
`
	if _, err := kube.Run(t.Context(), "delete", "namespace", openNamespace, "--ignore-not-found"); err != nil {
		t.Fatal(err)
	}
	if _, err := kube.RunInput(t.Context(), manifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = kube.Run(context.Background(), "delete", "namespace", openNamespace, "--wait=false")
	})
	eventually(t, "the service account of namespace "+openNamespace, func(ctx context.Context) (bool, error) {
		_, err := kube.Run(ctx, "-n", openNamespace, "get", "serviceaccount", "default")
		return err == nil, err
	})
}

// An agent that cannot start leaves the job as it is, and says why where people
// look.
func TestAgentThatCannotStart(t *testing.T) {
	const queue = "agentless"
	cases := map[string]struct {
		annotation string
		words      []string
	}{
		"revoked-token":   {"buildkite.com/agent-token-secret: revoked-token", []string{"401"}},
		"no-agent-binary": {"buildkite.com/agent-image: @SHELL@", []string{"buildkite-agent"}},
	}
	openNamespaceForJobs(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := openNamespace
			b := start(t, "steps: [{label: waiting, command: echo never, agents: {queue: "+queue+"}}]")
			j := b.job(t, "waiting")
			manifest := withImages(`
apiVersion: v1
kind: Pod
metadata:
  name: ` + name + `
  labels: {buildkite.com/inject: "true", buildkite.com/job-uuid: ` + j.uuid + `}
  annotations: {buildkite.com/agent-tags: queue=` + queue + `, ` + tc.annotation + `}
spec:
  restartPolicy: Never
  containers: [{name: mine, image: @SHELL@, command: ["true"]}]
`)
			if _, err := create(t, namespace, manifest); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the pod to fail", func(ctx context.Context) (bool, error) {
				phase, err := kube.Run(ctx, "-n", namespace, "get", "pod", name, "-o", "jsonpath={.status.phase}")
				return phase == string(corev1.PodFailed), err
			})
			for _, word := range tc.words {
				eventually(t, "the agent container's log to have "+word, func(ctx context.Context) (bool, error) {
					log, err := kube.Run(ctx, "-n", namespace, "logs", name, "-c", "agent")
					return strings.Contains(log, word), err
				})
			}
			if state := j.state(t); state != "scheduled" {
				t.Errorf("the job is %s", state)
			}
			j.cancel(t)
		})
	}
}

// A second agent that comes for the job leaves it alone, and its pod ends at once,
// with the status that says that somebody else has it.
func TestJobThatAnotherAgentHas(t *testing.T) {
	t.Parallel()
	b := start(t, strings.Replace(manualStep, "echo never by itself", "echo begun; sleep 50; echo ran", 1))
	j := b.job(t, "manual")
	has := apply(t, runner{queue: "manual", jobUUID: j.uuid}.pod())
	j.waitBegun(t)
	late := time.Now()
	comes := apply(t, runner{queue: "manual", jobUUID: j.uuid}.pod())
	statuses := containerStatuses(t, comes)
	t.Logf("the second pod had ended %.1f s after it was created", time.Since(late).Seconds())
	if statuses["agent"] != 27 || statuses["checkout"] != 1 || statuses["mine"] != 1 {
		t.Errorf("the second pod's containers ended with %v, want 27 for agent and 1 for those that did not run", statuses)
	}
	if phase := podPhase(t, has); phase != string(corev1.PodRunning) {
		t.Errorf("the pod that has the job is %s", phase)
	}
	b.passes(t)
	if log := j.logs(t, "ran"); strings.Count(log, "\nbegun\n") != 1 {
		t.Errorf("the command ran more than once:\n%s", log)
	}
}
