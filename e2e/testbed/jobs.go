package testbed

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// step is a pipeline whose jobs' pods have four containers: the agent, the checkout
// and two of the author's.
const step = `steps:
  - label: load
    command: make test
    parallelism: %d
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - name: test
                image: example.com/build:1
                env: [{name: DATABASE, value: "localhost:5432"}]
                resources: {requests: {cpu: 500m, memory: 256Mi}}
              - name: report
                image: example.com/report:1
                command: [report, --junit]
                resources: {requests: {cpu: 100m, memory: 64Mi}}
`

// maxPerBuild is how many jobs Buildkite takes in one upload.
const maxPerBuild = 500

// Job is a job that was scheduled.
type Job struct {
	UUID, Build string
	Scheduled   time.Time
}

// Schedule makes so many jobs, in as few builds as Buildkite allows.
func (t *Testbed) Schedule(count int) ([]Job, error) {
	var jobs []Job
	for len(jobs) < count {
		size := min(count-len(jobs), maxPerBuild)
		at := time.Now()
		build, err := t.Simulator.CreateBuild(simulator.BuildRequest{
			Slug: "load", Pipeline: fmt.Sprintf(step, size),
		})
		if err != nil {
			return nil, fmt.Errorf("schedule jobs: %w", err)
		}
		for _, job := range build.Commands() {
			jobs = append(jobs, Job{UUID: job.UUID, Build: build.UUID, Scheduled: at})
		}
	}
	return jobs, nil
}

// Cancel cancels whatever is left of the jobs' builds.
func (t *Testbed) Cancel(jobs []Job) error {
	cancelled := map[string]bool{}
	for _, job := range jobs {
		if cancelled[job.Build] {
			continue
		}
		cancelled[job.Build] = true
		if _, err := t.Simulator.Store().CancelBuild(job.Build, "testbed"); err != nil {
			return fmt.Errorf("cancel build %s: %w", job.Build, err)
		}
	}
	return nil
}

// Drain waits until every job has ended.
func (t *Testbed) Drain(ctx context.Context) error {
	for t.Simulator.Oracle().Verdict().Open > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d jobs to end: %w", t.Simulator.Oracle().Verdict().Open, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil
}

// Violations are sentences about what the oracle has against any of the jobs: each
// is to be acquired once and to be finished once, by an agent and with success.
func (t *Testbed) Violations(jobs []Job) []string {
	oracle := t.Simulator.Oracle()
	violations := oracle.Violations()
	for _, job := range jobs {
		record, known := oracle.Job(job.UUID)
		now, exists := t.Simulator.Store().Job(job.UUID)
		switch {
		case !known || !exists:
			violations = append(violations, fmt.Sprintf("job %s: unknown", job.UUID))
		case record.Acquisitions != 1 || record.Finishes != 1:
			violations = append(violations, fmt.Sprintf("job %s: acquired %d times, finished %d times", job.UUID, record.Acquisitions, record.Finishes))
		case now.ExitStatus == nil || *now.ExitStatus != 0:
			violations = append(violations, fmt.Sprintf("job %s: ended otherwise than its agent said: %s", job.UUID, now.State))
		}
	}
	return violations
}

// Pods counts the pods with the namespace's jobs.
func (t *Testbed) Pods(ctx context.Context) (int, error) {
	pods, err := t.Plane.Client().CoreV1().Pods(controlplane.JobNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, fmt.Errorf("count the pods: %w", err)
	}
	return len(pods.Items), nil
}

// AwaitPods waits until so many jobs have ever had a pod.
func (t *Testbed) AwaitPods(ctx context.Context, count int, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for t.Agents.SeenCount() < count {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d jobs to have a pod, of which %d have: %w", count, t.Agents.SeenCount(), ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}
