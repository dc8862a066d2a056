package endtoend

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

// explanation is what explain says, as JSON.
type explanation struct {
	State   string   `json:"state"`
	Summary string   `json:"summary"`
	Cause   string   `json:"cause"`
	Why     []string `json:"why"`
	Next    []string `json:"next"`
	Looked  []string `json:"looked"`
	Job     struct {
		State      string `json:"state"`
		ExitStatus string `json:"exitStatus"`
	} `json:"job"`
	Phases []struct {
		Name    string  `json:"name"`
		Seconds float64 `json:"seconds"`
	} `json:"phases"`
	Containers []struct {
		Name  string `json:"name"`
		Role  string `json:"role"`
		State string `json:"state"`
	} `json:"containers"`
}

func (e explanation) text() string {
	text, err := json.MarshalIndent(e, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func explain(ctx context.Context, t *testing.T, job string) (int, explanation) {
	t.Helper()
	status, stdout, stderr := commandLine(ctx, t, "explain", job, "-o", "json")
	var said explanation
	if err := json.Unmarshal([]byte(stdout), &said); err != nil {
		t.Fatalf("exit status %d: %v\n%s%s", status, err, stdout, stderr)
	}
	if strings.Contains(stdout+stderr, graphqlToken) || strings.Contains(stdout+stderr, agentToken) {
		t.Fatalf("explain shows a token:\n%s", stdout)
	}
	return status, said
}

// explained waits until a job is explained with this state, this cause and these
// words.
func explained(t *testing.T, job, state, cause string, words ...string) explanation {
	t.Helper()
	var said explanation
	eventually(t, "explain to say "+state+" "+cause, func(ctx context.Context) (bool, error) {
		var status int
		status, said = explain(ctx, t, job)
		all := said.Summary + "\n" + strings.Join(said.Why, "\n") + "\n" + strings.Join(said.Next, "\n")
		isSo := status == 0 && said.State == state && said.Cause == cause
		for _, word := range words {
			isSo = isSo && strings.Contains(all, word)
		}
		if !isSo {
			return false, fmt.Errorf("exit status %d: %s", status, said.text())
		}
		return true, nil
	})
	return said
}

// TestExplainPhases follows jobs through every phase.
func TestExplainPhases(t *testing.T) {
	t.Parallel()
	t.Run("unknown", func(t *testing.T) {
		status, said := explain(t.Context(), t, "00000000-0000-4000-8000-000000000bad")
		if status != 1 || said.State != "unknown" || len(said.Looked) < 3 {
			t.Errorf("exit status %d: %s", status, said.text())
		}
	})
	t.Run("no dispatcher serves it", func(t *testing.T) {
		b, j := waiting(t, "nobody", "true")
		explained(t, j.uuid, "waiting", "", "no dispatcher of this cluster serves it", "queue=nobody")
		j.cancel(t)
		explained(t, j.uuid, "withdrawn", "", "cancelled")
		_ = b
	})
	t.Run("gated by somebody else", func(t *testing.T) {
		b, j := waiting(t, "manual", "true")
		_ = b
		pod := apply(t, handMadePod(podOptions{job: j.uuid, command: "true", spec: `schedulingGates: [{name: example.com/later}]`}))
		explained(t, pod, "gated", "", "example.com/later")
		j.cancel(t)
	})
	t.Run("running and passed", func(t *testing.T) {
		b := start(t, `
steps:
  - label: sleeps
    command: sleep 8
    plugins: [{kubernetes: {podSpec: {containers: [{name: main, image: @SHELL@}]}}}]
`)
		j := b.job(t, "sleeps")
		said := explained(t, j.uuid, "running", "", "runs")
		if said.Job.State != "RUNNING" {
			t.Errorf("Buildkite's state: %s", said.text())
		}
		b.passes(t)
		// Buildkite knows before the pod has ended; the phases are known after.
		said = explained(t, j.uuid, "ended", "", "has run to its end: it passed")
		names := map[string]bool{}
		for _, phase := range said.Phases {
			names[phase.Name] = true
		}
		for _, name := range []string{"scheduling", "containers start", "agent takes the job", "container checkout", "container main", "agent finishes"} {
			if !names[name] {
				t.Errorf("no phase %q: %s", name, said.text())
			}
		}
		// The pod and the page's address name the same job.
		if _, byPod := explain(t.Context(), t, jobNamespace+"/"+j.pod()); byPod.State != "ended" {
			t.Errorf("by its pod: %s", byPod.text())
		}
		if _, byURL := explain(t.Context(), t, b.url+"#"+j.uuid); byURL.State != "ended" {
			t.Errorf("by its address: %s", byURL.text())
		}
	})
	t.Run("failed by its own command", func(t *testing.T) {
		b := start(t, "steps: [{label: fails, command: exit 7}]")
		b.fails(t)
		explained(t, b.job(t, "fails").uuid, "ended", "", "exit status 7")
	})
}

// TestExplainFailures: every failure that a pipeline's author can make happen
// here, while the pod is there and after the dispatcher has failed the job.
func TestExplainFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		plugin string
		// cause and words are what is said while the pod is there, "" if there
		// never is one; state is where the job is then.
		state, cause string
		words        []string
		status       int
		after        string
	}{
		"image missing": {
			`containers: [{name: build, image: "@REGISTRY@/no-such-image:2", command: ["true"]}]`,
			"stuck", "image-missing", []string{"container build", "no-such-image:2", "Correct the image"}, dispatcher.ExitImage, "an image could not be pulled",
		},
		"image name": {
			`containers: [{name: build, image: "No/Such:image:name", command: ["true"]}]`,
			"stuck", "image-name", []string{"is not the name of an image"}, dispatcher.ExitImage, "an image could not be pulled",
		},
		"secret missing": {
			`containers: [{name: build, image: @SHELL@, command: ["true"], envFrom: [{secretRef: {name: no-such-secret}}]}]`,
			"stuck", "container-config", []string{`secret "no-such-secret" not found`}, dispatcher.ExitContainer, "could not be set up",
		},
		"init container fails": {
			`initContainers: [{name: prepare, image: @SHELL@, command: [sh, -c, "exit 4"]}]
            containers: [{name: build, image: @SHELL@, command: ["true"]}]`,
			"failed", "init-container", []string{"prepare ended with exit status 4"}, dispatcher.ExitBefore, "has an init container that failed",
		},
		"more than any node has": {
			`containers: [{name: build, image: @SHELL@, command: ["true"], resources: {requests: {cpu: "1000"}}}]`,
			"pending", "unschedulable", []string{"Insufficient cpu", "no node can take the pod"}, dispatcher.ExitPending, "did not start in time",
		},
		"volume missing": {
			`volumes: [{name: data, configMap: {name: no-such-map}}]
            containers: [{name: build, image: @SHELL@, command: ["true"], volumeMounts: [{name: data, mountPath: /data}]}]`,
			"stuck", "pending", []string{"FailedMount", `configmap "no-such-map" not found`}, dispatcher.ExitPending, "did not start in time",
		},
		"refused by the API server": {
			`priorityClassName: no-such-class
            containers: [{name: build, image: @SHELL@, command: ["true"]}]`,
			"", "", nil, dispatcher.ExitRejected, "the cluster will not have it",
		},
		"service account missing": {
			`serviceAccountName: no-such-account
            containers: [{name: build, image: @SHELL@, command: ["true"]}]`,
			"", "", nil, dispatcher.ExitRejected, "the cluster will not have it",
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			registry, _, _ := strings.Cut(pulled["shell"], "/")
			b := start(t, strings.ReplaceAll(`
steps:
  - label: stuck
    plugins:
      - kubernetes:
          podSpec:
            `+tc.plugin+`
`, "@REGISTRY@", registry))
			j := b.job(t, "stuck")
			if tc.state != "" {
				stuckByHand(t, strings.ReplaceAll(tc.plugin, "@REGISTRY@", registry), func(uuid string) {
					explained(t, uuid, tc.state, tc.cause, tc.words...)
				})
			}
			b.fails(t)
			j.exits(t, tc.status)
			if tc.after == "" {
				return
			}
			eventually(t, "explain to say what became of it", func(ctx context.Context) (bool, error) {
				status, said := explain(ctx, t, j.uuid)
				if status != 0 || said.State != "failed" || !strings.Contains(said.Summary, tc.after) {
					return false, fmt.Errorf("exit status %d: %s", status, said.text())
				}
				return true, nil
			})
		})
	}
}

// stuckByHand makes a pod for a job of its own that the dispatcher does not look
// after: it stays as long as it takes to look at it.
func stuckByHand(t *testing.T, spec string, look func(uuid string)) {
	t.Helper()
	_, j := waiting(t, "manual", "true")
	apply(t, withImages(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata:
  generateName: stuck-
  labels: {buildkite.com/inject: "true", buildkite.com/job-uuid: %q}
  annotations: {buildkite.com/agent-tags: queue=manual}
spec:
            restartPolicy: Never
            %s
`, j.uuid, spec)))
	look(j.uuid)
	j.cancel(t)
}

// TestExplainLosses: a job that is cut short while it runs.
func TestExplainLosses(t *testing.T) {
	t.Parallel()
	t.Run("out of memory", func(t *testing.T) {
		t.Parallel()
		b := start(t, `
steps:
  - label: greedy
    plugins: [{kubernetes: {podSpec: {containers: [{name: main, image: @SHELL@, command: [sh, -ec, "tail /dev/zero"], resources: {limits: {memory: 32Mi}}}]}}}]
`)
		b.fails(t)
		explained(t, b.job(t, "greedy").uuid, "lost", "out-of-memory", "container main", "its memory limit is 32Mi")
	})
	t.Run("deleted", func(t *testing.T) {
		t.Parallel()
		b := start(t, `
steps:
  - label: deleted
    plugins: [{kubernetes: {podSpec: {containers: [{name: main, image: @SHELL@, command: [sh, -ec, "trap '' TERM; sleep 60"]}]}}}]
`)
		j := b.job(t, "deleted")
		explained(t, j.uuid, "running", "")
		kubectl(t, "delete", "pod", j.pod(), "--wait=false", "--grace-period=20")
		explained(t, j.uuid, "lost", "deleted", "somebody deleted its pod")
		b.wait(t)
	})
}
