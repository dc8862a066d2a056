//go:build linux

package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// busy is a script for a container that is at work until the pod is told to go on.
const busy = "touch running; while ! test -e seen; do sleep 0.05; done"

// goOn ends what is busy.
func (p *pod) goOn() {
	p.t.Helper()
	if err := os.WriteFile(p.path("seen"), nil, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// The client of the next container is there, and waits without polling, while a
// container is at work; that of the one after it is not.
func TestClientIsStartedEarly(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout(busy)
	next := p.startJob(1, `echo "context $(cd "$BUILDKITE_JOB_CONTEXT_DIR" && ls -d buildkite.sock)"`)
	last := p.startJob(2, "true")
	agent := p.startAgent("--containers=3", uuid)
	eventually(t, "the checkout runs", func() bool { return p.there("running") })
	early := next.waitingProcess()
	if last.agentProcess() != 0 {
		t.Error("the client of the last container is there before the one before it is at work")
	}
	before := ticks(t, early)
	time.Sleep(time.Second)
	if used := ticks(t, early) - before; used > 1 {
		t.Errorf("the client used %d ticks of processor time in a second of waiting", used)
	}
	if next.agentProcess() != early {
		t.Error("the client was started again while it waited")
	}

	p.goOn()
	checkout.wantStatus(0)
	next.wantStatus(0)
	last.wantStatus(0)
	agent.wantStatus(0)
	wantInOrder(t, p.result().Log, "context buildkite.sock\n")
}

// A client that does not like to wait, and ends, is started again at its turn.
func TestImpatientClient(t *testing.T) {
	p := newPod(t)
	p.startCheckout(busy)
	next := p.startJob(1, "echo ran", agentPatience+"=100ms")
	agent := p.startAgent("--containers=2", uuid)
	eventually(t, "the checkout runs", func() bool { return p.there("running") })
	eventually(t, "the client gave up", func() bool { return strings.Contains(next.output.String(), impatience) })
	p.goOn()
	next.wantStatus(0)
	agent.wantStatus(0)
	wantInOrder(t, p.result().Log, "ran\n")
}

// A client that is killed while it waits fails the job at its turn, with the reason.
func TestEarlyClientKilled(t *testing.T) {
	p := newPod(t)
	p.startCheckout(busy)
	next := p.startJob(1, "touch ran")
	agent := p.startAgent("--containers=2", "--names=checkout,build", uuid)
	eventually(t, "the checkout runs", func() bool { return p.there("running") })
	if err := syscall.Kill(next.waitingProcess(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.goOn()
	agent.wantStatus(137)
	next.wantStatus(137)
	wantInOrder(t, p.result().Log, "+++ Container build failed\n", "ended by a signal: killed")
	if p.there("ran") {
		t.Error("the command ran")
	}
}

// A client whose turn does not come ends with its container.
func TestEarlyClientWhoseTurnDoesNotCome(t *testing.T) {
	p := newPod(t)
	p.startCheckout(busy + "; exit 3")
	next := p.startJob(1, "touch ran")
	agent := p.startAgent("--containers=2", uuid)
	eventually(t, "the checkout runs", func() bool { return p.there("running") })
	early := next.waitingProcess()
	p.goOn()
	agent.wantStatus(3)
	next.wantStatus(1)
	if err := syscall.Kill(early, 0); err == nil {
		t.Error("the client is still there")
	}
	if got := p.result(); got.Status != 3 || p.there("ran") {
		t.Errorf("want status 3 and no command, got %d:\n%s", got.Status, got.Log)
	}
}

// With SSH keys the client waits for its turn: the checkout is putting them into the
// same directory.
func TestNoEarlyClientWithKeys(t *testing.T) {
	p := newPod(t)
	p.startCheckout(busy)
	next := p.startJob(1, "true", "SSH_KNOWN_HOSTS=git.example.com ssh-ed25519 AAAA")
	agent := p.startAgent("--containers=2", uuid)
	eventually(t, "the checkout runs", func() bool { return p.there("running") })
	time.Sleep(300 * time.Millisecond)
	if next.agentProcess() != 0 {
		t.Error("the client is there")
	}
	p.goOn()
	agent.wantStatus(0)
	next.wantStatus(0)
}
