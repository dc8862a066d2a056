//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cancelWhen cancels the job once a file is there.
func (p *pod) cancelWhen(name string) {
	p.agentEnv = append(p.agentEnv, agentCancelFile+"="+p.path(name))
}

// The agent takes a container that it has not heard of for one that never
// started, and says that its image could not be pulled.
func TestCancelledBeforeTheLastTurn(t *testing.T) {
	p := newPod(t)
	p.cancelWhen("running")
	p.startCheckout("true")
	p.startJob(1, "touch running; sleep 60")
	second := p.startJob(2, "touch ran")
	third := p.startJob(3, "touch ran")
	p.startAgent("--containers=4", uuid).wait()

	second.wantStatus(1)
	third.wantStatus(1)
	got := p.result()
	if strings.Contains(got.Log, "never connected") {
		t.Errorf("the log accuses a container that only waited:\n%s", got.Log)
	}
	if got.Status == 0 || p.there("ran") {
		t.Errorf("status %d, want that of the container that was stopped, and no other to have run", got.Status)
	}
}

func TestCancelledDuringTheLastTurn(t *testing.T) {
	p := newPod(t)
	p.cancelWhen("running")
	p.startCheckout("true")
	p.startJob(1, "touch running; sleep 60")
	p.startAgent("--containers=2", uuid).wait()
	if got := p.result(); strings.Contains(got.Log, "never connected") || got.Status == 0 {
		t.Errorf("unexpected result: %+v", got)
	}
}

// What the supervisor listens for is what the agent says.
func TestAgentTexts(t *testing.T) {
	directory, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/buildkite/agent/v3").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(directory)), "agent", "run_job.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`"Canceling job %s with`, `Couldn't mark job as finished`, "never connected to the agent"} {
		if !strings.Contains(string(source), text) {
			t.Errorf("the agent no longer says %s", text)
		}
	}
}
