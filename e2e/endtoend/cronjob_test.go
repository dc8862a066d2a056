package endtoend

import (
	"context"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
)

// TestCronJobExample applies the example as it is, but for its image and its
// schedule, and waits for the CronJob's own tick.
func TestCronJobExample(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: nightly
    command: echo "by a CronJob, in $(hostname)"
    agents: {queue: nightly}
`)
	manifest := example(t, "cronjob.yaml", `"0 2 * * *"`, `"* * * * *"`)
	if status, output := tryKubectl(t, manifest, "apply", "-f", "-"); status != 0 {
		t.Fatal(output)
	}
	deleteAfterwards(t, "cronjob", "nightly-runner")
	var name string
	eventually(t, "the CronJob to make a Job", func(ctx context.Context) (bool, error) {
		output, err := kube.Run(ctx, "-n", jobNamespace, "get", "jobs", "-o", `jsonpath={range .items[?(@.metadata.ownerReferences[0].name=="nightly-runner")]}{.metadata.name}{" "}{end}`)
		name, _, _ = strings.Cut(output, " ")
		return name != "", err
	})
	b.passes(t)
	if verdict := waitJob(t, name); verdict != batchv1.JobComplete {
		t.Errorf("the CronJob's Job is %s, want Complete", verdict)
	}
	pods := podsOf(t, name)
	if len(pods) != 1 {
		t.Fatalf("the Job made %d pods, want 1", len(pods))
	}
	b.job(t, "nightly").logs(t, "by a CronJob, in "+pods[0].Name)
}

// TestJobExample gives the example the UUID of a real job.
func TestJobExample(t *testing.T) {
	t.Parallel()
	b, j := waiting(t, "hand-made", "not run")
	name := createJob(t, example(t, "job.yaml", "01900000-0000-0000-0000-000000000000", j.uuid))
	b.passes(t)
	// The first container writes what the second one shows.
	j.logs(t, "README.md", "listing")
	if verdict := waitJob(t, name); verdict != batchv1.JobComplete {
		t.Errorf("the Job is %s, want Complete", verdict)
	}
}

// TestHandMadePodExample runs the example's pod, which takes the next job.
func TestHandMadePodExample(t *testing.T) {
	t.Parallel()
	pod := apply(t, example(t, "hand-made-pod.yaml", "queue=hand-made", "queue=example-pod"))
	b, j := waiting(t, "example-pod", `echo "in $(hostname)"`)
	b.passes(t)
	j.logs(t, "in "+pod)
	waitPodEnded(t, pod)
}
