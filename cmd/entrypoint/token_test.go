//go:build linux

package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// agentProcess is the agent's process in its container, 0 while there is none.
func (c *container) agentProcess() int {
	for _, child := range children(c.t, c.command.Process.Pid) {
		return atoi(c.t, child)
	}

	return 0
}

// waitingProcess waits until the agent's process is there and does nothing.
func (c *container) waitingProcess() int {
	c.t.Helper()
	eventually(c.t, "the agent's process is there", func() bool { return c.agentProcess() != 0 })
	process := c.agentProcess()
	eventually(c.t, "it waits", func() bool {
		before := ticks(c.t, process)
		time.Sleep(300 * time.Millisecond)

		return ticks(c.t, process) == before
	})

	return process
}

// The agent's process is there while the pod is held, so that its start delays no
// job, but it waits: it has no token.
func TestAgentIsPreparedWhileHeld(t *testing.T) {
	p := newPod(t)
	p.startCheckout("true")
	agent := p.startAgent("--containers=2", "--names=checkout,build", uuid)
	process := agent.waitingProcess()
	if p.there("token-copy") || p.exists("buildkite.sock") {
		t.Error("the agent has its token while a container is missing")
	}
	environment, err := os.ReadFile("/proc/" + itoa(process) + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(environment), strings.TrimSpace(agentToken)) {
		t.Error("the token is in the agent's environment")
	}

	p.startJob(1, "true")
	agent.wantStatus(0)
	if token, err := os.ReadFile(p.path("token-copy")); err != nil || string(token) != agentToken {
		t.Errorf("the agent registered with the token %q, %v", token, err)
	}
}

// A Secret that is corrected while the pod is held counts.
func TestTokenIsReadAtTheEndOfTheHold(t *testing.T) {
	p := newPod(t)
	agent := p.startAgent("--containers=1", uuid)
	eventually(t, "the pod is held", func() bool { return strings.Contains(agent.output.String(), "held until") })
	if err := os.WriteFile(p.path("token"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.startCheckout("true")
	agent.wantStatus(0)
	if token, err := os.ReadFile(p.path("token-copy")); err != nil || string(token) != "another" {
		t.Errorf("the agent registered with the token %q, %v", token, err)
	}
}

func TestTokenMissing(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"gone":  os.Remove,
		"empty": func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t)
			checkout := p.startCheckout("touch ran")
			if err := damage(p.path("token")); err != nil {
				t.Fatal(err)
			}
			agent := p.startAgent("--containers=1", uuid)
			agent.wantStatus(1)
			checkout.wantStatus(1)
			wantInOrder(t, agent.output.String(), "entrypoint: read the agent token:", p.path("token"))
			if p.there("ran") || p.there("result") {
				t.Error("a job was taken without a token")
			}
		})
	}
}

// A token that is not in a file cannot be held back; the agent then starts when the
// hold ends.
func TestTokenInTheEnvironment(t *testing.T) {
	p := newPod(t)
	p.agentEnv = append(p.agentEnv, "BUILDKITE_AGENT_TOKEN=plain")
	agent := p.startAgent("--containers=1", uuid)
	eventually(t, "the pod is held", func() bool { return strings.Contains(agent.output.String(), "held until") })
	if process := agent.agentProcess(); process != 0 {
		t.Errorf("the agent's process %d is there", process)
	}
	p.startCheckout("true")
	agent.wantStatus(0)
	wantInOrder(t, agent.output.String(), "starting the agent after")
}
