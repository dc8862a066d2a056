//go:build linux

package main

import (
	"maps"
	"strings"
	"testing"
)

func TestQueueMode(t *testing.T) {
	withVersion := `[{"github.com/buildkite-plugins/kubernetes-buildkite-plugin#v1.0.0":{"podSpec":{}}}]`
	cases := map[string]struct {
		jobEnv    map[string]string
		agentEnv  []string
		arguments []string
		status    int // the job's
		exit      int // the pod's
		log       string
	}{
		"passes": {log: "the job says hello"},
		"fails, which is not the pod's failure": {
			jobEnv: map[string]string{"BUILDKITE_COMMAND": "exit 3"}, status: 3,
		},
		"fails, and reflects it": {
			jobEnv: map[string]string{"BUILDKITE_COMMAND": "exit 3"}, arguments: []string{"--exit-status=reflect"}, status: 3, exit: 3,
		},
		"asks for an image": {
			jobEnv: map[string]string{"BUILDKITE_IMAGE": "alpine:3"}, status: 194, log: `asks for the image "alpine:3"`,
		},
		"asks for an image, and is ignored": {
			jobEnv:    map[string]string{"BUILDKITE_IMAGE": "alpine:3", "BUILDKITE_COMMAND": "echo ran"},
			arguments: []string{"--ignore-job-pod-spec"}, log: "ran",
		},
		"asks for a pod": {
			jobEnv: map[string]string{"BUILDKITE_PLUGINS": withVersion}, status: 194, log: "has a podSpec of its own",
		},
		"other plugins": {
			jobEnv: map[string]string{
				"BUILDKITE_PLUGINS": `[{"github.com/buildkite-plugins/docker-buildkite-plugin#v1":{"podSpec":1}}, {"x":null}]`,
				"BUILDKITE_COMMAND": "echo ran",
			},
			log: "ran",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := newPod(t)
			maps.Copy(p.jobEnv, tc.jobEnv)
			p.agentEnv = tc.agentEnv
			checkout := p.startCheckout("true")
			job := p.startJob(1, "")
			last := p.startJob(2, "true")
			p.startAgent(append([]string{"--containers=3"}, tc.arguments...)...).wantStatus(tc.exit)
			checkout.wantStatus(0)
			job.wantStatus(tc.exit)
			if tc.exit == 0 {
				last.wantStatus(0)
			}
			got := p.result()
			if got.Status != tc.status || !strings.Contains(got.Log, tc.log) {
				t.Errorf("the job's status is %d, want %d, and %q in the log:\n%s", got.Status, tc.status, tc.log, got.Log)
			}
		})
	}
}

func TestResultNotAccepted(t *testing.T) {
	p := newPod(t)
	p.agentEnv = []string{agentFinishFails + "=yes"}
	checkout := p.startCheckout("true")
	job := p.startJob(1, "exit 3")
	p.startAgent("--containers=2").wantStatus(0)
	checkout.wantStatus(0)
	job.wantStatus(3)
}

func TestNoJobCame(t *testing.T) {
	for _, mode := range []string{"reflect", "runner"} {
		t.Run(mode, func(t *testing.T) {
			p := newPod(t)
			p.noJob = true
			checkout := p.startCheckout("touch ran")
			job := p.startJob(1, "touch ran")
			p.startAgent("--containers=2", "--exit-status="+mode).wantStatus(0)
			checkout.wantStatus(0)
			job.wantStatus(0)
			if p.there("ran") {
				t.Error("a container ran without a job")
			}
		})
	}
}

// With a job UUID, an agent that ends without the job is no success.
func TestJobNotAcquired(t *testing.T) {
	p := newPod(t)
	p.noJob = true
	checkout := p.startCheckout("touch ran")
	p.startAgent("--containers=1", uuid).wantStatus(0)
	checkout.wantStatus(1)
}

// A container dies while the agent waits for a job: the agent must not take one.
func TestKilledWhileIdle(t *testing.T) {
	p := newPod(t)
	p.noJob = true
	p.agentEnv = []string{agentDelay + "=60s"}
	checkout := p.startCheckout("true")
	agent := p.startAgent("--containers=1", "--names=checkout")
	eventually(t, "the agent was started", func() bool { return strings.Contains(agent.output.String(), "the agent may begin") })
	if err := checkout.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if agent.wait() == 0 {
		t.Error("a pod without one of its containers passed")
	}
	wantInOrder(t, agent.output.String(), "Container checkout was killed")
}
