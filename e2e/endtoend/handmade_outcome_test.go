package endtoend

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// outcome is a Kubernetes Job with backoffLimit 1, and what becomes of it.
type outcome struct {
	// exitStatus is the annotation; empty leaves it out.
	exitStatus string
	// uuid gives the pod a job's UUID; otherwise it takes the next job.
	uuid bool
	// commands are those of the jobs that wait in the queue, or of the one with
	// the UUID.
	commands []string
	// prepare is done to the job with the UUID before there is a pod.
	prepare func(*testing.T, *job)
	// unknown has the pod ask for a job that never was.
	unknown bool

	// verdict is what Kubernetes makes of its Job.
	verdict batchv1.JobConditionType
	// agents are the exit statuses of the agent container, pod by pod.
	agents []int32
	// mine are those of the job container.
	mine []int32
	// jobs are the states and exit statuses of the Buildkite jobs afterwards.
	jobs []string
}

// outcomes is the table of docs/hand-made-pods.md.
var outcomes = map[string]outcome{
	// With a job-uuid a second pod finds that the job has run.
	"uuid-reflect-passed":   {uuid: true, commands: []string{"true"}, verdict: batchv1.JobComplete, agents: []int32{0}, mine: []int32{0}, jobs: []string{"finished 0"}},
	"uuid-reflect-failed":   {uuid: true, commands: []string{"exit 4"}, verdict: batchv1.JobFailed, agents: []int32{4, 27}, mine: []int32{4, 1}, jobs: []string{"finished 4"}},
	"uuid-reflect-canceled": {uuid: true, commands: []string{"true"}, prepare: cancelBefore, verdict: batchv1.JobFailed, agents: []int32{27, 27}, mine: []int32{1, 1}, jobs: []string{"canceled"}},
	"uuid-reflect-unknown":  {uuid: true, unknown: true, verdict: batchv1.JobFailed, agents: []int32{0, 0}, mine: []int32{1, 1}},
	"uuid-runner-passed":    {exitStatus: contract.ExitStatusRunner, uuid: true, commands: []string{"true"}, verdict: batchv1.JobComplete, agents: []int32{0}, mine: []int32{0}, jobs: []string{"finished 0"}},
	"uuid-runner-failed":    {exitStatus: contract.ExitStatusRunner, uuid: true, commands: []string{"exit 4"}, verdict: batchv1.JobComplete, agents: []int32{0}, mine: []int32{0}, jobs: []string{"finished 4"}},
	"uuid-runner-canceled":  {exitStatus: contract.ExitStatusRunner, uuid: true, commands: []string{"true"}, prepare: cancelBefore, verdict: batchv1.JobFailed, agents: []int32{27, 27}, mine: []int32{1, 1}, jobs: []string{"canceled"}},

	// In queue mode a second pod takes another job.
	"queue-runner-passed":  {commands: []string{"true"}, verdict: batchv1.JobComplete, agents: []int32{0}, mine: []int32{0}, jobs: []string{"finished 0"}},
	"queue-runner-failed":  {commands: []string{"exit 4", "true"}, verdict: batchv1.JobComplete, agents: []int32{0}, mine: []int32{0}, jobs: []string{"finished 4", "scheduled"}},
	"queue-runner-idle":    {verdict: batchv1.JobComplete, agents: []int32{0}, mine: []int32{0}},
	"queue-reflect-passed": {exitStatus: contract.ExitStatusReflect, commands: []string{"true"}, verdict: batchv1.JobComplete, agents: []int32{0}, mine: []int32{0}, jobs: []string{"finished 0"}},
	"queue-reflect-failed": {exitStatus: contract.ExitStatusReflect, commands: []string{"exit 4", "true"}, verdict: batchv1.JobComplete, agents: []int32{4, 0}, mine: []int32{4, 0}, jobs: []string{"finished 4", "finished 0"}},
	"queue-reflect-idle":   {exitStatus: contract.ExitStatusReflect, verdict: batchv1.JobComplete, agents: []int32{0}, mine: []int32{0}},
}

func cancelBefore(t *testing.T, j *job) {
	t.Helper()
	j.cancel(t)
	j.waitCanceled(t)
}

// TestWhatAKubernetesJobDoes creates a Job for each outcome, all at once, and
// then looks at how each ended and how many pods it took.
func TestWhatAKubernetesJobDoes(t *testing.T) {
	t.Parallel()
	created := map[string]string{}
	jobs := map[string][]*job{}
	for name, tc := range outcomes {
		queue := "outcome-" + name
		r := runner{queue: queue, backoffLimit: 1, annotations: map[string]string{}}
		for _, command := range tc.commands {
			_, waits := waiting(t, queue, command)
			jobs[name] = append(jobs[name], waits)
		}
		if tc.exitStatus != "" {
			r.annotations[contract.ExitStatusAnnotation] = tc.exitStatus
		}
		switch {
		case tc.unknown:
			r.jobUUID = "01900000-0000-4000-8000-000000000000"
		case tc.uuid:
			r.jobUUID = jobs[name][0].uuid
		case len(tc.commands) == 0:
			r.annotations[contract.IdleTimeoutAnnotation] = "3s"
		}
		if tc.prepare != nil {
			tc.prepare(t, jobs[name][0])
		}
		created[name] = createJob(t, r.job())
	}
	for _, name := range slices.Sorted(maps.Keys(outcomes)) {
		t.Run(name, func(t *testing.T) { outcomes[name].check(t, created[name], jobs[name]) })
	}
}

func (o outcome) check(t *testing.T, name string, jobs []*job) {
	t.Helper()
	verdict := waitJob(t, name)
	if verdict != o.verdict {
		t.Errorf("the Job is %s, want %s", verdict, o.verdict)
	}
	pods := podsOf(t, name)
	if agents := exitCodes(pods, contract.AgentContainer); !slices.Equal(agents, o.agents) {
		t.Errorf("the agents of its pods ended with %v, want %v", agents, o.agents)
	}
	if mine := exitCodes(pods, "mine"); !slices.Equal(mine, o.mine) {
		t.Errorf("the job containers of its pods ended with %v, want %v", mine, o.mine)
	}
	var ended []string
	for _, j := range jobs {
		current := j.get(t)
		text := string(current.State)
		if current.ExitStatus != nil {
			text += fmt.Sprintf(" %d", *current.ExitStatus)
		}
		ended = append(ended, text)
		if current.State == "scheduled" {
			j.cancel(t)
		}
	}
	if !slices.Equal(ended, o.jobs) {
		t.Errorf("the Buildkite jobs are %v, want %v", ended, o.jobs)
	}
	if t.Failed() {
		t.Log(describePods(t, pods))
	}
}

// exitCodes are those of a container in each pod; -1 if it has not ended.
func exitCodes(pods []corev1.Pod, container string) []int32 {
	var codes []int32
	for _, pod := range pods {
		code := int32(-1)
		for _, status := range pod.Status.ContainerStatuses {
			if status.Name == container && status.State.Terminated != nil {
				code = status.State.Terminated.ExitCode
			}
		}
		codes = append(codes, code)
	}
	return codes
}

func describePods(t *testing.T, pods []corev1.Pod) string {
	t.Helper()
	var text strings.Builder
	for _, pod := range pods {
		for _, container := range []string{contract.AgentContainer, contract.CheckoutContainer, "mine"} {
			_, log := tryKubectl(t, "", "logs", pod.Name, "-c", container, "--tail=15")
			fmt.Fprintf(&text, "--- %s %s %s\n%s", pod.Name, pod.Status.Phase, container, log)
		}
	}
	return text.String()
}
