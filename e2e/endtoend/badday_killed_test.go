package endtoend

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestContainerKilledWhileItWaits(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: waits
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: first, image: @SHELL@, command: ["echo begun; sleep 60"]}
              - {name: second, image: @SHELL@, command: ["echo not reached"]}
`)
	j := b.job(t, "waits")
	j.waitBegun(t)
	killed := killContainer(t, j.pod(), "second")
	b.fails(t)
	j.exitsNonZero(t)
	j.within(t, killed, 10*time.Second)
	j.logs(t, "second")
}

func TestContainerKilledWhileItRuns(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: runs
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: build, image: @SHELL@, command: ["echo begun; sleep 60"]}
`)
	j := b.job(t, "runs")
	j.waitBegun(t)
	killed := killContainer(t, j.pod(), "build")
	b.fails(t)
	j.exits(t, 137)
	j.within(t, killed, 10*time.Second)
	j.logs(t, "build")
}

// The agent's client has reached the agent and has not begun the container's work:
// the agent knows of the container, waits for it, and would for half a minute. That
// state lasts for a millisecond, so it may take more than one job to hit it.
func TestContainerKilledBetweenRegistrationAndStart(t *testing.T) {
	t.Parallel()
	for range 5 {
		b := start(t, `
steps:
  - label: between
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: first, image: @SHELL@, command: ["echo begun; sleep 4"]}
              - {name: second, image: @SHELL@, command: ["sleep 60"]}
`)
		j := b.job(t, "between")
		j.waitBegun(t)
		second := firstProcess(t, j.pod(), "second")
		stopAtConnection(t, second)
		killed := time.Now()
		if err := syscall.Kill(second, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		b.fails(t)
		j.exits(t, 137)
		j.within(t, killed, 10*time.Second)
		log := j.logs(t, "Container second was killed")
		// The client's first words, once it may start.
		if strings.Count(log, "Bootstrapping phases plugin,command") == 1 {
			return
		}
	}
	t.Error("the container had always begun when it was killed")
}

// stopAtConnection stops the agent's client, a child of the container's first
// process, as soon as it has a connection. The client goes on in small steps.
func stopAtConnection(t *testing.T, first int) {
	t.Helper()
	const step = 200 * time.Microsecond
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(step) {
		for _, child := range childrenOf(t, first) {
			_ = syscall.Kill(child, syscall.SIGSTOP)
			if isConnected(child) {
				return
			}
			_ = syscall.Kill(child, syscall.SIGCONT)
		}
	}
	t.Fatal("the agent's client has not connected")
}

// isConnected says whether a process has a socket.
func isConnected(process int) bool {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", process))
	if err != nil {
		return false
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && strings.HasPrefix(target, "socket:") {
			return true
		}
	}
	return false
}

// Where the kernel kills a container as a whole, as with control groups of version
// 2, the job's log names the container and its limit. With version 1 it may kill a
// process of the command alone, and then the command's status is all there is.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: hungry
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - name: build
                image: @SHELL@
                command: ["echo begun; date +%s; tail /dev/zero; echo survived"]
                resources: {limits: {memory: 48Mi}}
`)
	b.fails(t)
	j := b.job(t, "hungry")
	j.exitsNonZero(t)
	if log := j.logs(t, "begun"); strings.Contains(log, "\nsurvived") {
		t.Errorf("it went on without what was killed:\n%s", log)
	}
	if took := j.get(t).FinishedAt.Sub(j.get(t).StartedAt); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}

// The agent cannot say anything any more. Buildkite misses it after its
// heartbeat time, and no container of the pod goes on meanwhile.
func TestAgentContainerKilled(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: orphan
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: build, image: @SHELL@, command: ["echo begun; sleep 300"]}
              - {name: waits, image: @SHELL@, command: ["echo not reached"]}
`)
	j := b.job(t, "orphan")
	j.waitBegun(t)
	killed := killContainer(t, j.pod(), "agent")
	waitPodEnded(t, j.pod())
	t.Logf("the pod had ended %.1f s after it", time.Since(killed).Seconds())
	if took := time.Since(killed); took > 20*time.Second {
		t.Errorf("the pod's other containers ran on for %s", took)
	}
	if ended := b.wait(t); ended.State != "failed" {
		t.Errorf("the build %s", ended.State)
	}
	j.exits(t, -1)
	if record, _ := sim.Oracle().Job(j.uuid); record.Acquisitions != 1 || record.Finishes != 0 {
		t.Errorf("acquired %d times, finished %d times by an agent", record.Acquisitions, record.Finishes)
	}
}
