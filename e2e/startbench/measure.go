package startbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// patience bounds one run.
const patience = 2 * time.Minute

// Run is what one pod took from the moment before it was created.
type Run struct {
	Registered, FirstOutput, Finished time.Duration
	Phases                            Phases
}

// once runs one job in a pod of the shape.
func (b *measurement) once(ctx context.Context, shape Shape, number int) (Run, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	build, err := b.client.CreateBuild(ctx, b.build(shape.Name))
	if err != nil {
		return Run{}, err
	}
	job := build.Commands()[0].UUID
	name := fmt.Sprintf("bench-%d-%d", os.Getpid(), number)
	var pod corev1.Pod
	manifest := shape.fill(map[string]string{
		"NAME": name, "NAMESPACE": namespace, "JOB": job, "AGENT": b.agentImage, "SHELL": b.shellImage, "ENDPOINT": b.client.URL + "/v3",
	})
	if err := yaml.UnmarshalStrict([]byte(manifest), &pod); err != nil {
		return Run{}, fmt.Errorf("read the pod %q: %w", shape.Name, err)
	}
	pods := b.cluster.CoreV1().Pods(namespace)
	begun, uptime, err := clocks()
	if err != nil {
		return Run{}, err
	}
	if _, err := pods.Create(ctx, &pod, metav1.CreateOptions{}); err != nil {
		return Run{}, fmt.Errorf("create the pod %q: %w", shape.Name, err)
	}
	ended, err := b.client.WaitForJob(ctx, job, func(job simulator.Job) bool { return job.State.Ended() })
	if err != nil {
		return Run{}, fmt.Errorf("wait for the job of %q: %w", shape.Name, err)
	}
	run, err := b.timesOf(ctx, ended, name, begun, uptime)
	if err != nil {
		return Run{}, fmt.Errorf("%q: %w", shape.Name, err)
	}
	run.Phases, err = b.remove(ctx, name, begun)
	return run, err
}

// build is one with a single job, whose commit Buildkite knows unless it is to be a
// build's first job.
func (b *measurement) build(message string) simulator.BuildRequest {
	request := simulator.BuildRequest{
		Slug: "bench", Repository: "sample", Message: message,
		Pipeline: "steps:\n- {label: bench, command: " + strconv.Quote(command) + ", agents: {queue: bench}}\n",
	}
	if !b.options.FirstJob {
		request.Commit = b.commit
		request.MetaData = map[string]string{"buildkite:git:commit": "commit " + b.commit}
	}
	return request
}

func (b *measurement) timesOf(ctx context.Context, job simulator.Job, pod string, begun time.Time, uptime time.Duration) (Run, error) {
	log, err := b.client.JobLog(ctx, job.UUID)
	if err != nil {
		return Run{}, err
	}
	if job.ExitStatus == nil || *job.ExitStatus != 0 {
		return Run{}, fmt.Errorf("job %s did not pass:\n%s", job.UUID, log)
	}
	printed, err := uptimeIn(log)
	if err != nil {
		return Run{}, err
	}
	agents, err := b.client.Agents(ctx)
	if err != nil {
		return Run{}, err
	}
	for _, agent := range agents {
		if agent.Name == pod {
			return Run{Registered: agent.RegisteredAt.Sub(begun), FirstOutput: printed - uptime, Finished: job.FinishedAt.Sub(begun)}, nil
		}
	}
	return Run{}, fmt.Errorf("no agent of the name %s has registered", pod)
}

// remove waits for the pod's end, reads what it tells, deletes it and waits until
// it is gone, so that its end does not slow the next one.
func (b *measurement) remove(ctx context.Context, name string, created time.Time) (Phases, error) {
	pods := b.cluster.CoreV1().Pods(namespace)
	var phases Phases
	for {
		pod, err := pods.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return Phases{}, fmt.Errorf("wait for the pod's end: %w", err)
		}
		if pod.Status.Phase == corev1.PodFailed {
			return Phases{}, errors.New("the pod failed although its job passed")
		}
		if pod.Status.Phase == corev1.PodSucceeded {
			if phases, err = phasesOf(pod, created); err != nil {
				return Phases{}, err
			}
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err := pods.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return Phases{}, fmt.Errorf("delete the pod: %w", err)
	}
	for {
		_, err := pods.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return phases, nil
		}
		if err != nil {
			return Phases{}, fmt.Errorf("wait until the pod is gone: %w", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// clocks reads the wall clock, which Buildkite's times are of, and the uptime,
// which the job prints.
func clocks() (wall time.Time, uptime time.Duration, err error) {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("read the uptime: %w", err)
	}
	wall = time.Now()
	uptime, err = parseUptime(strings.Fields(string(text))[0])
	return wall, uptime, err
}

// printedUptime is the line that the job prints.
var printedUptime = regexp.MustCompile(`(?m)^(\d+\.\d\d) \d+\.\d\d\s*$`)

func uptimeIn(log string) (time.Duration, error) {
	match := printedUptime.FindStringSubmatch(log)
	if match == nil {
		return 0, fmt.Errorf("the log lacks what the command prints:\n%s", log)
	}
	return parseUptime(match[1])
}

func parseUptime(text string) (time.Duration, error) {
	uptime, err := time.ParseDuration(text + "s")
	if err != nil {
		return 0, fmt.Errorf("read the uptime: %w", err)
	}
	return uptime, nil
}
