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
	pipeline := `
steps:
  - label: contested
    parallelism: @COUNT@
    command: echo begun
    agents: {queue: ` + queue + `}
`
	// The first job makes the queue.
	first := start(t, strings.Replace(pipeline, "@COUNT@", "1", 1))
	one := jobsNamespace(t, queue, "")
	first.passes(t)
	other := startDispatcher(t, "--namespace="+jobNamespace, "--queue="+queue, "--controller-id=shared-too")
	// Both have to be there before there are jobs, or one has them all.
	for _, d := range []*dispatcherProcess{one, other} {
		d.waitOutput(t, patience, `msg="the cluster takes pods"`)
	}
	b := start(t, strings.Replace(pipeline, "@COUNT@", "6", 1))
	b.passes(t)

	ofOne, ofOther := createdPods(one), createdPods(other)
	var contested []string
	for job := range ofOne {
		if ofOther[job] {
			contested = append(contested, job)
		}
	}
	t.Logf("%d jobs had a pod of one dispatcher, %d of the other, %d of both", len(ofOne), len(ofOther), len(contested))
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
