package endtoend

import (
	"strings"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
)

func TestWithoutTheMutatorNothingRunsAndAllRecovers(t *testing.T) {
	scale := func(replicas string) {
		kubectlIn(t, systemNamespace, "scale", "deployment", "mutator", "--replicas="+replicas)
	}
	runs := apply(t, runner{queue: "without-mutator"}.pod())
	scale("0")
	defer scale("2")
	kubectlIn(t, systemNamespace, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=mutator", "--timeout=60s")

	labelled := `
apiVersion: v1
kind: Pod
metadata:
  generateName: unmutated-
  labels:
    buildkite.com/inject: "true"
spec:
  restartPolicy: Never
  containers:
    - name: mine
      image: ` + pulled[images.Shell] + `
      command: [echo, "must not run"]
`
	if err := tryApply(t, jobNamespace, labelled); err == nil {
		t.Error("a labelled pod was admitted without the mutator")
	} else {
		t.Logf("a labelled pod: %v", err)
	}
	// The Job controller takes its finalizer off a finished pod, say.
	kubectl(t, "annotate", "pod", runs, "example.com/note=seen")
	bystander := apply(t, strings.NewReplacer("  labels:\n    buildkite.com/inject: \"true\"\n", "", "must not run", "runs").Replace(labelled))
	waitPodEnded(t, bystander)
	if log := kubectl(t, "logs", bystander); log != "runs\n" {
		t.Errorf("the unlabelled pod's log is %q", log)
	}

	b := start(t, `
steps:
  - label: patient
    command: echo "here at last"
`)
	j := b.job(t, "patient")
	time.Sleep(8 * time.Second)
	if state := j.state(t); state != "scheduled" {
		t.Fatalf("the job is %s without a mutator, want scheduled", state)
	}

	scale("2")
	back := time.Now()
	b.passes(t)
	t.Logf("the job had ended %s after the mutator was asked back", time.Since(back).Round(time.Second))
	j.logs(t, "here at last")
}

func TestMaxInFlightOneNeverOverlaps(t *testing.T) {
	stop := runDispatcher(t, "--queue=serial", "--max-in-flight=1", "--controller-id=serial")
	defer stop()
	b := start(t, `
steps:
  - label: serial
    parallelism: 3
    command: sleep 2
    agents: {queue: serial}
`)
	b.passes(t)
	intervals := b.runIntervals(t, "serial")
	if len(intervals) != 3 {
		t.Fatalf("%d jobs ran, want 3", len(intervals))
	}
	for i, a := range intervals {
		for _, c := range intervals[i+1:] {
			if a.start.Before(c.finish) && c.start.Before(a.finish) {
				t.Errorf("jobs overlap: %s to %s, and %s to %s", clock(a.start), clock(a.finish), clock(c.start), clock(c.finish))
			}
		}
	}
}

func clock(at time.Time) string { return at.Format("15:04:05.000") }
