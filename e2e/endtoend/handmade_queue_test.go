package endtoend

import (
	"strings"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// TestQueueModeRefusesAJobThatWantsItsOwnPod: in another image than its own a
// job would pass for the wrong reason.
func TestQueueModeRefusesAJobThatWantsItsOwnPod(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ step, reason string }{
		"podspec": {`
    command: echo "in the wrong image"
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - image: @NOSHELL@`, "this_pod_was_there_before_the_job_and_cannot_be_changed_by_the_kubernetes_plugin"},
		"image": {`
    command: echo "in the wrong image"
    image: @NOSHELL@`, contract.IgnoreJobPodSpecAnnotation},
	} {
		t.Run(name, func(t *testing.T) {
			queue := "own-pod-" + name
			pod := apply(t, runner{queue: queue}.pod())
			b := start(t, "steps:\n  - label: picky\n    agents: {queue: "+queue+"}"+tc.step+"\n")
			b.fails(t)
			j := b.job(t, "picky")
			j.logs(t, tc.reason)
			if strings.Contains(j.log(t), "\nin the wrong image") {
				t.Error("the command ran")
			}
			j.exitsNonZero(t)
			waitPodEnded(t, pod)
		})
	}
}

func TestQueueModeIgnoresTheJobsPodSpecIfToldTo(t *testing.T) {
	t.Parallel()
	pod := apply(t, runner{queue: "ignore-pod-spec", annotations: map[string]string{contract.IgnoreJobPodSpecAnnotation: "true"}}.pod())
	b := start(t, `
steps:
  - label: tolerant
    command: echo "in this pod, $(hostname)"
    agents: {queue: ignore-pod-spec}
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - image: @NOSHELL@
`)
	b.passes(t)
	b.job(t, "tolerant").logs(t, "in this pod, "+pod)
}

func TestIdleTimeoutEndsAPod(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	pod := apply(t, runner{queue: "idle", annotations: map[string]string{contract.IdleTimeoutAnnotation: "4s"}}.pod())
	waitPodEnded(t, pod)
	if lived := time.Since(begun); lived < 4*time.Second {
		t.Errorf("the pod ended after %s, before its idle timeout", lived)
	}
	if phase := podPhase(t, pod); phase != "Succeeded" {
		t.Errorf("the pod ended as %s, want Succeeded: having had no job is no failure\n%v", phase, containerStatuses(t, pod))
	}
}

// TestTwoContainersInQueueMode: a container with a command of its own runs that,
// one without runs the job's.
func TestTwoContainersInQueueMode(t *testing.T) {
	t.Parallel()
	manifest := strings.Replace(runner{queue: "two-in-queue"}.pod(), "    name: mine\n", `    name: before
    command: [sh, -c, 'echo "prepared by hand" > prepared']
  - image: `+pulled["shell"]+`
    name: mine
`, 1)
	apply(t, strings.Replace(manifest, "job-containers: mine", "job-containers: before,mine", 1))
	b, j := waiting(t, "two-in-queue", `cat prepared; echo "and the job's own command"`)
	b.passes(t)
	j.logs(t, "prepared by hand", "and the job's own command")
}
