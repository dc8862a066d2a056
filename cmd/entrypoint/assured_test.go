//go:build linux

package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// assured are the arguments of an agent that does not wait for the checkout.
var assured = []string{"--containers=2", "--names=checkout,build", "--assured=checkout", uuid}

// hasJob waits until the agent has taken the job.
func (p *pod) hasJob(agent *container) {
	p.t.Helper()
	eventually(p.t, "the agent has a job", func() bool { return strings.Contains(agent.output.String(), "the agent has a job") })
}

// A container that is sure to start may come when the agent has the job already. Those
// after it wait for it.
func TestAssuredContainerComesLater(t *testing.T) {
	p := newPod(t)
	job := p.startJob(1, "touch ran")
	agent := p.startAgent(assured...)
	p.hasJob(agent)
	time.Sleep(300 * time.Millisecond)
	if p.there("ran") || job.agentProcess() != 0 {
		t.Error("the second container did not wait for the first one")
	}
	checkout := p.startCheckout("true")
	checkout.wantStatus(0)
	job.wantStatus(0)
	agent.wantStatus(0)
	wantInOrder(t, p.result().Log, "checkout, starting\n", "build, started after", "waiting for containers to start")
	wantInOrder(t, agent.output.String(), "held until 1 containers have started: build", "(1 of 2)", "has a job", "checkout has started (2 of 2)", "checkout is done")
}

// The others are waited for.
func TestOthersThanTheAssuredAreAwaited(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("touch ran")
	agent := p.startAgent(append([]string{"--hold-timeout=300ms"}, assured...)...)
	agent.wantStatus(193)
	checkout.wantStatus(1)
	wantInOrder(t, p.result().Log, "+++ The pod never started completely", "had not started: build.")
	if p.there("ran") {
		t.Error("the checkout ran")
	}
}

func TestAssuredContainerNeverStarts(t *testing.T) {
	p := newPod(t)
	job := p.startJob(1, "touch ran")
	agent := p.startAgent(append([]string{"--assured-timeout=300ms"}, assured...)...)
	p.hasJob(agent)
	agent.wantStatus(193)
	job.wantStatus(1)
	got := p.result()
	if got.Status != 193 || p.there("ran") {
		t.Errorf("want status 193 and no command, got %d", got.Status)
	}
	wantInOrder(t, got.Log, "+++ The pod never started completely", "300ms after the others", "had not started: checkout.", "kubectl describe pod")
}

// In a pod that is being stopped it will not start any more.
func TestStoppedBeforeTheAssuredContainer(t *testing.T) {
	p := newPod(t)
	job := p.startJob(1, "touch ran")
	p.agentEnv = append(p.agentEnv, agentGrace+"=10s")
	agent := p.startAgent(assured...)
	p.hasJob(agent)
	begun := time.Now()
	job.signal(syscall.SIGTERM)
	agent.signal(syscall.SIGTERM)
	agent.wantStatus(143)
	job.wantStatus(1)
	if took := time.Since(begun); took > 9*time.Second {
		t.Errorf("the agent waited for it for %v", took)
	}
	wantInOrder(t, p.result().Log, "Kubernetes is stopping this pod")
}

func TestCancelledBeforeTheAssuredContainer(t *testing.T) {
	p := newPod(t)
	p.cancelWhen("cancel")
	job := p.startJob(1, "touch ran")
	agent := p.startAgent(assured...)
	p.hasJob(agent)
	begun := time.Now()
	if err := os.WriteFile(p.path("cancel"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	agent.wantStatus(143)
	job.wantStatus(1)
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("the agent waited for it for %v", took)
	}
	late := p.startCheckout("touch ran")
	late.wantStatus(1)
	if p.there("ran") {
		t.Error("something ran")
	}
}

// A container that is done leaves the machine to the next one for a moment, and does
// not outlive the agent.
func TestContainerThatIsDoneStays(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("true")
	p.startJob(1, busy)
	agent := p.startAgent("--containers=2", uuid)
	eventually(t, "the job runs", func() bool { return p.there("running") })
	<-checkout.done
	exited, err := os.Stat(p.path("run/client-0.exited"))
	if err != nil {
		t.Fatal(err)
	}
	if stayed := time.Since(exited.ModTime()); stayed < 300*time.Millisecond {
		t.Errorf("the checkout's container stayed for %v", stayed)
	}
	p.goOn()
	agent.wantStatus(0)
	checkout.wantStatus(0)
}
