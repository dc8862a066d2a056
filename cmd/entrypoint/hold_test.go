//go:build linux

package main

import (
	"strings"
	"testing"
)

func TestNeverStarted(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("true")
	agent := p.startAgent("--containers=3", "--names=checkout,build,test", "--hold-timeout=300ms", uuid)
	agent.wantStatus(193)
	checkout.wantStatus(1)
	got := p.result()
	if got.Status != 193 {
		t.Errorf("the job's status is %d, want 193", got.Status)
	}
	wantInOrder(t, got.Log, "+++ The pod never started completely", "had not started: build, test.", "kubectl describe pod", "--namespace the-namespace")
}

func TestNeverStartedWithoutJob(t *testing.T) {
	p := newPod(t)
	p.startAgent("--containers=1", "--hold-timeout=300ms").wantStatus(1)
	if p.there("result") {
		t.Error("a job was taken")
	}
}

func TestSupervisorNeverStarts(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("true", "--hold-timeout=300ms")
	checkout.wantStatus(1)
	wantInOrder(t, checkout.output.String(), "the agent's container has not started after 300ms")

	// It starts after all, and the job does not hang.
	agent := p.startAgent("--containers=1", "--names=checkout", uuid)
	agent.wantStatus(1)
	wantInOrder(t, p.result().Log, "+++ Container checkout failed", "has not started after 300ms")
}

func TestAgentMissing(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("true")
	agent := p.startAgent("--containers=1", "--agent-binary=/no/such/agent", uuid)
	agent.wantStatus(1)
	checkout.wantStatus(1)
	wantInOrder(t, agent.output.String(), "/no/such/agent", "does the agent image have the agent somewhere else?")
}

func TestRestarted(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("true")
	eventually(t, "the checkout container has started", func() bool { return p.exists("client-0.started") })
	again := p.startCheckout("true")
	again.wantStatus(1)
	wantInOrder(t, again.output.String(), "this container has started before", "restartPolicy")

	agent := p.startAgent("--containers=1", uuid)
	agent.wantStatus(0)
	checkout.wantStatus(0)
	agentAgain := p.startAgent("--containers=1", uuid)
	agentAgain.wantStatus(1)
	wantInOrder(t, agentAgain.output.String(), "the agent's container was restarted")
}

func TestUsage(t *testing.T) {
	cases := map[string]struct {
		arguments []string
		status    int
		want      string
	}{
		"help":               {[]string{"--help"}, 0, "install PATH"},
		"install help":       {[]string{"install", "--help"}, 0, "Usage: entrypoint install PATH"},
		"agent help":         {[]string{"agent", "--help"}, 0, "--hold-timeout=DURATION"},
		"run help":           {[]string{"run", "--help"}, 0, "--id=K"},
		"exec help":          {[]string{"exec", "--help"}, 0, "--working-directory=DIR"},
		"nothing":            {nil, 1, "Usage: entrypoint SUBCOMMAND"},
		"unknown subcommand": {[]string{"rum"}, 1, `unknown subcommand "rum"`},
		"no containers":      {[]string{"agent"}, 1, "--containers: want"},
		"too few names":      {[]string{"agent", "--containers=2", "--names=a"}, 1, "1 names for 2 containers"},
		"assured nobody":     {[]string{"agent", "--containers=1", "--assured=0,b"}, 1, `--assured: ["0" "b"] are not all among the containers ["0"]`},
		"unknown mode":       {[]string{"agent", "--containers=1", "--exit-status=x"}, 1, `"x" is neither reflect nor runner`},
		"no id":              {[]string{"run"}, 1, "--id: want"},
		"run with arguments": {[]string{"run", "--id=1", "--", "make"}, 1, `unexpected argument "make": a command needs an --interposer`},
		"no command":         {[]string{"run", "--id=1", "--interposer=vector", "--"}, 1, "no command follows"},
		"no such interposer": {[]string{"run", "--id=1", "--interposer=Vector", "--", "make"}, 1, `--interposer: "Vector" is none of vector, buildkite, legacy`},
		"no --commands":      {[]string{"run", "--id=1", "--interposer=buildkite", "--", "make"}, 1, "--commands: want how many of the 1 words"},
		"too many commands":  {[]string{"run", "--id=1", "--interposer=buildkite", "--commands=2", "--", "make"}, 1, "--commands: want how many of the 1 words"},
		"install nowhere":    {[]string{"install"}, 1, "want one argument"},
		"install badly":      {[]string{"install", "/no/such/directory/entrypoint"}, 1, "no such file or directory"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := newPod(t).start(nil, tc.arguments...)
			c.wantStatus(tc.status)
			if !strings.Contains(c.output.String(), tc.want) {
				t.Errorf("want %q in:\n%s", tc.want, c.output)
			}
		})
	}
}
