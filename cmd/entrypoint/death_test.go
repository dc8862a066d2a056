//go:build linux

package main

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// soon is how long a job may go on after one of its containers died: the time
// the pod is given to show that it is being stopped, and some for a busy machine.
// The agent alone takes 30 seconds, or for ever.
const soon = 10 * time.Second

func TestKilledWhileRunning(t *testing.T) {
	p := newPod(t)
	p.startCheckout("true")
	job := p.startJob(1, "touch running; sleep 60")
	waiting := p.startJob(2, "true")
	agent := p.startAgent("--containers=3", "--names=checkout,build,test", uuid)
	eventually(t, "the job runs", func() bool { return p.there("running") })

	killed := time.Now()
	job.signal(syscall.SIGKILL)
	agent.wantStatus(137)
	if took := time.Since(killed); took > soon {
		t.Errorf("the job ended %v after its container was killed, want at most %v", took, soon)
	}
	waiting.wantStatus(1)
	got := p.result()
	if got.Status != 137 {
		t.Errorf("the job's status is %d, want 137", got.Status)
	}
	wantInOrder(t, got.Log, "~~~ Kubernetes pod", "+++ Container build was killed\n", "resources.limits.memory")
}

func TestKilledWhileWaitingForItsTurn(t *testing.T) {
	p := newPod(t)
	p.startCheckout("true")
	running := p.startJob(1, "touch running; sleep 60")
	waiting := p.startJob(2, "true")
	agent := p.startAgent("--containers=3", "--names=checkout,build,test", uuid)
	eventually(t, "the job runs", func() bool { return p.there("running") })

	waiting.signal(syscall.SIGKILL)
	agent.wantStatus(137)
	if running.wait() == 0 {
		t.Error("the running container passed although the job ended")
	}
	wantInOrder(t, p.result().Log, "+++ Container test was killed\n")
}

func TestKilledWhileHeld(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("touch ran")
	agent := p.startAgent("--containers=2", "--names=checkout,build", uuid)
	eventually(t, "the checkout container has started", func() bool { return strings.Contains(agent.output.String(), "1 of 2") })

	checkout.signal(syscall.SIGKILL)
	agent.wantStatus(137)
	wantInOrder(t, p.result().Log, "+++ Container checkout was killed\n")
	if p.there("ran") {
		t.Error("a container ran although the pod was not complete")
	}
}

// The last container starts, and so ends the hold, while another's death is being
// looked into.
func TestKilledJustBeforeTheLastContainerStarts(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("touch ran")
	agent := p.startAgent("--containers=2", "--names=checkout,build", "--settle-time=500ms")
	eventually(t, "the checkout container has started", func() bool { return strings.Contains(agent.output.String(), "1 of 2") })

	checkout.signal(syscall.SIGKILL)
	eventually(t, "the death was seen", func() bool { return strings.Contains(agent.output.String(), "ended with status 137") })
	job := p.startJob(1, "true")
	agent.wantStatus(1)
	job.wantStatus(1)
	if strings.Contains(agent.output.String(), "the agent may begin") {
		t.Error("the agent may take a job that this pod cannot run")
	}
}

func TestKilledWhileHeldWithoutJob(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("true")
	agent := p.startAgent("--containers=2", "--names=checkout,build")
	eventually(t, "the checkout container has started", func() bool { return strings.Contains(agent.output.String(), "1 of 2") })

	checkout.signal(syscall.SIGKILL)
	agent.wantStatus(1)
	wantInOrder(t, agent.output.String(), "Container checkout was killed: ")
	if strings.Contains(agent.output.String(), "the agent may begin") {
		t.Error("the agent was started, and may have taken a job")
	}
}

// Only the agent's process in a container is killed, as the kernel does when it
// kills one process of a control group and not all.
func TestClientProcessKilled(t *testing.T) {
	p := newPod(t)
	p.startCheckout("true")
	job := p.startJob(1, "touch running; sleep 60")
	agent := p.startAgent("--containers=2", "--names=checkout,build", uuid)
	eventually(t, "the job runs", func() bool { return p.there("running") })

	for _, child := range children(t, job.command.Process.Pid) {
		if err := syscall.Kill(atoi(t, child), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	agent.wantStatus(137)
	job.wantStatus(137)
	wantInOrder(t, p.result().Log, "+++ Container build failed\n", "ended by a signal: killed")
}

func TestSupervisorKilled(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("true")
	running := p.startJob(1, "touch running; sleep 60")
	waiting := p.startJob(2, "true")
	agent := p.startAgent("--containers=3", uuid)
	eventually(t, "the job runs", func() bool { return p.there("running") })

	agent.signal(syscall.SIGKILL)
	checkout.wantStatus(0)
	waiting.wantStatus(1)
	if running.wait() == 0 {
		t.Error("the running container passed although nobody can report it")
	}
	wantInOrder(t, waiting.output.String(), "the agent ended before it was this container's turn")
}

func TestSupervisorKilledWhileHeld(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("true")
	agent := p.startAgent("--containers=2", uuid)
	eventually(t, "the checkout container has started", func() bool { return strings.Contains(agent.output.String(), "1 of 2") })
	time.Sleep(100 * time.Millisecond)
	agent.signal(syscall.SIGKILL)
	checkout.wantStatus(1)
}

func TestAgentKilled(t *testing.T) {
	p := newPod(t)
	p.startCheckout("true")
	job := p.startJob(1, "touch running; sleep 60")
	agent := p.startAgent("--containers=2", uuid)
	eventually(t, "the job runs", func() bool { return p.there("running") })

	for _, child := range children(t, agent.command.Process.Pid) {
		if err := syscall.Kill(atoi(t, child), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	agent.wantStatus(137)
	if job.wait() == 0 {
		t.Error("the job passed although nobody can report it")
	}
}

// The kubelet tells all containers to stop, and kills those that have not in the
// end: nobody is to blame.
func TestPodStopped(t *testing.T) {
	p := newPod(t)
	p.agentEnv = []string{agentGrace + "=1s"}
	p.startCheckout("true")
	job := p.startJob(1, "touch running; sleep 60", agentGrace+"=1s")
	waiting := p.startJob(2, "true")
	agent := p.startAgent("--containers=3", "--names=checkout,build,test", "--settle-time=300ms", uuid)
	eventually(t, "the job runs", func() bool { return p.there("running") })

	// The worst order: a death is seen before the request to stop, and the job
	// goes on for longer than the pod is given to show that it is being stopped.
	waiting.signal(syscall.SIGKILL)
	eventually(t, "the death was seen", func() bool { return strings.Contains(agent.output.String(), "test ended with status 137") })
	job.signal(syscall.SIGTERM)
	agent.signal(syscall.SIGTERM)
	agent.wait()
	if got := p.result(); strings.Contains(got.Log, "killed") {
		t.Errorf("a container was accused although the pod was being stopped:\n%s", got.Log)
	} else if !strings.Contains(got.Log, "Kubernetes is stopping this pod") {
		t.Errorf("the job's log does not say that the pod was being stopped:\n%s", got.Log)
	}
}

func TestStoppedWhileHeld(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("true")
	agent := p.startAgent("--containers=2", uuid)
	eventually(t, "the checkout container has started", func() bool { return strings.Contains(agent.output.String(), "1 of 2") })
	checkout.signal(syscall.SIGTERM)
	agent.signal(syscall.SIGTERM)
	agent.wantStatus(143)
	checkout.wantStatus(1)
}

func TestStoppedBeforeTheSupervisor(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("true")
	eventually(t, "the checkout container has started", func() bool { return p.exists("client-0.started") })
	checkout.signal(syscall.SIGTERM)
	checkout.wantStatus(143)
}
