package endtoend

import (
	"regexp"
	"strings"
	"testing"
)

// TestTwoDispatchersOnOneQueue has two dispatchers, each with a namespace of its
// own, serve one queue. Both make pods for the same jobs; one agent gets the job,
// and the dispatcher of the other neither fails the job nor has it run again.
func TestTwoDispatchersOnOneQueue(t *testing.T) {
	t.Parallel()
	const queue = "shared"
	one := jobsNamespace(t, queue, "")
	other := startDispatcher(t, "--namespace="+jobNamespace, "--queue="+queue, "--controller-id=shared-too")
	// Both have to be there before there are jobs, or one has them all.
	for _, d := range []*dispatcherProcess{one, other} {
		d.waitOutput(t, patience, `msg=dispatching`)
	}
	b := start(t, `
steps:
  - label: contested
    parallelism: 6
    command: echo begun
    agents: {queue: `+queue+`}
`)
	b.passes(t)

	first, second := createdPods(one), createdPods(other)
	var contested []string
	for job := range first {
		if second[job] {
			contested = append(contested, job)
		}
	}
	t.Logf("%d jobs had a pod of one dispatcher, %d of the other, %d of both", len(first), len(second), len(contested))
	if len(contested) == 0 {
		t.Error("no job had a pod of each: nothing was shown")
	}
	for _, d := range []*dispatcherProcess{one, other} {
		if strings.Contains(d.output(), `msg="failed job"`) {
			t.Errorf("a dispatcher failed a job:\n%s", d.output())
		}
	}
	for _, uuid := range contested {
		if log := (&job{build: b, uuid: uuid}).log(t); strings.Count(log, "\nbegun\n") != 1 {
			t.Errorf("job %s did not run exactly once:\n%s", uuid, log)
		}
	}
}

var createdLine = regexp.MustCompile(`msg="created pod" job=(\S+)`)

// createdPods are the jobs for which a dispatcher made a pod.
func createdPods(d *dispatcherProcess) map[string]bool {
	jobs := map[string]bool{}
	for _, match := range createdLine.FindAllStringSubmatch(d.output(), -1) {
		jobs[match[1]] = true
	}
	return jobs
}
