package endtoend

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

// The first container is there and waits; nothing of the job runs, and Buildkite
// shows it as scheduled until it fails with the reason.
func TestImageMissingForTheSecondContainer(t *testing.T) {
	t.Parallel()
	registry, _, _ := strings.Cut(pulled["shell"], "/")
	b := start(t, strings.ReplaceAll(`
steps:
  - label: half
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: first, image: @SHELL@, command: ["echo begun"]}
              - {name: second, image: "@REGISTRY@/no-such-second:1", command: ["echo not reached"]}
`, "@REGISTRY@", registry))
	j := b.job(t, "half")
	eventually(t, "the first container to run", func(ctx context.Context) (bool, error) {
		return isRunning(ctx, j.pod(), "first")
	})
	missing := time.Now()
	b.fails(t)
	j.exits(t, dispatcher.ExitImage)
	j.within(t, missing, 60*time.Second)
	// The dispatcher fails the job. The pod's own agent has never had it, or its log
	// would begin with where it runs.
	if log := j.logs(t, "container second", "no-such-second:1", "not found"); strings.Contains(log, "~~~ Kubernetes pod") {
		t.Errorf("the pod's agent took the job:\n%s", log)
	}
}

// Nobody is there to give up for the pod: a person made it. At its limit it takes
// the job itself, says which container is missing, and fails it.
func TestHoldEndsAtItsLimit(t *testing.T) {
	t.Parallel()
	const limit = 10 * time.Second
	installMutator(t, "impatient", map[string]any{"holdTimeoutSeconds": int(limit / time.Second)})
	registry, _, _ := strings.Cut(pulled["shell"], "/")
	b := start(t, manualStep)
	j := b.job(t, "manual")
	name := apply(t, handMadePod(podOptions{
		job: j.uuid, labels: "buildkite.com/mutator: impatient", image: registry + "/no-such-image:1", command: "true",
	}))
	eventually(t, "the checkout to wait", func(ctx context.Context) (bool, error) {
		return isRunning(ctx, name, "checkout")
	})
	waiting := time.Now()
	if state := j.state(t); state != "scheduled" {
		t.Errorf("the job is %s while a container is missing", state)
	}
	b.fails(t)
	j.exits(t, neverStarted)
	j.within(t, waiting, limit+30*time.Second)
	j.logs(t, "The pod never started completely", "After 10s these containers had not started: mine", "kubectl describe pod "+name)
}

// neverStarted is the entrypoint's status for it, as docs/failures.md has it.
const neverStarted = 193

// What waits costs nothing: no process of a held pod, the agent's own included,
// uses a thousandth of a processor.
func TestWaitingCostsNoProcessorTime(t *testing.T) {
	t.Parallel()
	registry, _, _ := strings.Cut(pulled["shell"], "/")
	b := start(t, manualStep)
	j := b.job(t, "manual")
	name := apply(t, `
apiVersion: v1
kind: Pod
metadata:
  generateName: held-
  labels: {buildkite.com/inject: "true", buildkite.com/job-uuid: `+j.uuid+`}
  annotations: {buildkite.com/agent-tags: queue=manual, buildkite.com/job-containers: "first,second"}
spec:
  restartPolicy: Never
  containers:
    - {name: first, image: "`+pulled["shell"]+`", command: ["true"]}
    - {name: second, image: "`+registry+`/no-such-image:1", command: ["true"]}
`)
	waiting := []string{"agent", "checkout", "first"}
	for _, container := range waiting {
		eventually(t, "container "+container+" to run", func(ctx context.Context) (bool, error) {
			return isRunning(ctx, name, container)
		})
	}
	// Whatever they do as they start is done.
	time.Sleep(5 * time.Second)
	const period = 6 * time.Second
	before := map[int]time.Duration{}
	for _, container := range waiting {
		for _, process := range processesOf(t, name, container) {
			before[process] = processorTime(t, process)
		}
	}
	time.Sleep(period)
	for process, earlier := range before {
		used := processorTime(t, process) - earlier
		t.Logf("process %d used %s in %s", process, used, period)
		if used > period/1000 {
			t.Errorf("process %d used %s in %s of waiting", process, used, period)
		}
	}
	if len(before) < len(waiting) {
		t.Errorf("%d processes in %d containers", len(before), len(waiting))
	}
	if state := j.state(t); state != "scheduled" {
		t.Errorf("the job is %s", state)
	}
	j.cancel(t)
}

func isRunning(ctx context.Context, pod, container string) (bool, error) {
	current, err := getPod(ctx, pod)
	if err != nil {
		return false, err
	}
	for _, status := range current.Status.ContainerStatuses {
		if status.Name == container {
			return status.State.Running != nil, nil
		}
	}
	return false, nil
}

func TestWrongArchitecture(t *testing.T) {
	t.Parallel()
	// The head of a program for another processor.
	program := "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 40)
	repository(t, "wrong-architecture", map[string]string{"program": program})
	b := startWith(t, buildOptions{repository: "wrong-architecture"}, `
steps:
  - label: foreign
    plugins:
      - kubernetes:
          commandParams: {interposer: vector}
          podSpec:
            containers:
              - {name: build, image: @NOSHELL@, command: [./program]}
`)
	b.fails(t)
	j := b.job(t, "foreign")
	j.exits(t, 126)
	j.logs(t, "program: exec format error; it is a program for another architecture")
}
