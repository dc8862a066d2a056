package endtoend

import (
	"strings"
	"testing"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
)

func TestHandMadePodWithAJobUUID(t *testing.T) {
	// A queue that no dispatcher watches.
	b := start(t, `
steps:
  - label: named
    command: echo "never by itself"
    agents: {queue: manual}
`)
	j := b.job(t, "named")
	apply(t, `
apiVersion: v1
kind: Pod
metadata:
  generateName: hand-made-
  labels:
    buildkite.com/inject: "true"
    buildkite.com/job-uuid: `+j.uuid+`
  annotations:
    buildkite.com/agent-tags: queue=manual
spec:
  restartPolicy: Never
  containers:
    - name: mine
      image: `+pulled[images.Shell]+`
      command: [echo, "by hand, with a job"]
`)
	b.passes(t)
	j.logs(t, "by hand, with a job")
}

func TestHandMadePodTakesTheNextJobOfItsQueue(t *testing.T) {
	pod := apply(t, `
apiVersion: v1
kind: Pod
metadata:
  generateName: hand-made-
  labels:
    buildkite.com/inject: "true"
  annotations:
    buildkite.com/agent-tags: queue=manual
spec:
  restartPolicy: Never
  containers:
    - name: mine
      image: `+pulled[images.Shell]+`
`)
	b := start(t, `
steps:
  - label: next
    command: echo "the job's own command in $(hostname)"; exit 4
    agents: {queue: manual}
`)
	b.fails(t)
	j := b.job(t, "next")
	j.exits(t, 4)
	j.logs(t, "the job's own command in "+pod)
	waitPodEnded(t, pod)
	// A runner has done its work once Buildkite has the result.
	if phase := podPhase(t, pod); phase != "Succeeded" {
		t.Errorf("the pod ended as %s, want Succeeded: a Kubernetes Job would run another build\n%v", phase, containerStatuses(t, pod))
	}
}

func TestUnlabelledPodIsUntouched(t *testing.T) {
	pod := apply(t, `
apiVersion: v1
kind: Pod
metadata:
  generateName: bystander-
spec:
  restartPolicy: Never
  containers:
    - name: mine
      image: `+pulled[images.Shell]+`
      command: [echo, untouched]
`)
	waitPodEnded(t, pod)
	if containers := kubectl(t, "get", "pod", pod, "-o", "jsonpath={.spec.containers[*].name}{.spec.initContainers[*].name}"); containers != "mine" {
		t.Errorf("containers %q, want mine alone", containers)
	}
	if annotations := kubectl(t, "get", "pod", pod, "-o", "jsonpath={.metadata.annotations}"); strings.Contains(annotations, "buildkite.com") {
		t.Errorf("annotations %s", annotations)
	}
	if log := kubectl(t, "logs", pod); log != "untouched\n" {
		t.Errorf("log %q", log)
	}
}

func TestLabelledPodOutsideAnOptedInNamespaceIsRefused(t *testing.T) {
	err := tryApply(t, "default", `
apiVersion: v1
kind: Pod
metadata:
  generateName: elsewhere-
  labels:
    buildkite.com/inject: "true"
spec:
  restartPolicy: Never
  containers:
    - name: mine
      image: `+pulled[images.Shell]+`
`)
	if err == nil || !strings.Contains(err.Error(), "buildkite.com/jobs") {
		t.Errorf("error %v, want a refusal that names the namespace's label", err)
	}
}

func TestRefusedPodSaysWhereAndWhat(t *testing.T) {
	err := tryApply(t, jobNamespace, `
apiVersion: v1
kind: Pod
metadata:
  generateName: refused-
  labels:
    buildkite.com/inject: "true"
spec:
  restartPolicy: Never
  containers:
    - name: agent
      image: `+pulled[images.Shell]+`
`)
	if err == nil || !strings.Contains(err.Error(), "spec.containers[0].name") {
		t.Errorf("error %v, want one that names spec.containers[0].name", err)
	}
}
