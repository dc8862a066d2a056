//go:build linux

package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

const uuid = "--job-uuid=0190a7f4-0000-4000-8000-000000000000"

// wantInOrder checks that a text has all parts, one after the other.
func wantInOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Fatalf("want %q, in this order, in:\n%s", parts, text)
		}
		rest = after
	}
}

func TestJobPasses(t *testing.T) {
	p := newPod(t)
	// The containers start in an order that is not theirs.
	second := p.startJob(2, "echo second; echo last > last")
	first := p.startJob(1, "", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=a.b", "GIT_CONFIG_VALUE_0=c",
		"HOME="+p.path("new/home"))
	p.jobEnv["BUILDKITE_COMMAND"] = `echo "first $(git config --get-all a.b) $(git config --get-all safe.directory)"; test -d "$HOME"`
	checkout := p.startCheckout("echo checking out")
	agent := p.startAgent("--containers=3", "--names=checkout,build,test", uuid)

	agent.wantStatus(0)
	checkout.wantStatus(0)
	first.wantStatus(0)
	second.wantStatus(0)
	got := p.result()
	if got.Status != 0 {
		t.Errorf("the job's status is %d, want 0", got.Status)
	}
	wantInOrder(t, got.Log, "~~~ Kubernetes pod\n", "the-namespace", "the-node", "build, started after",
		"checking out", "first c *", "second")
	wantInOrder(t, agent.output.String(), "held until 3 containers have started: checkout, build, test", "the agent may begin", "has a job")
	for _, name := range []string{"workspace/build", "workspace/plugins", "workspace/hooks", "run/sockets", "run/home", "run/home/agent"} {
		info, err := os.Stat(p.path(name))
		if err != nil || info.Mode().Perm() != 0o777 {
			t.Errorf("%s: %v, %v; want a directory open to all", name, info, err)
		}
	}
}

func TestSummary(t *testing.T) {
	p := newPod(t)
	p.startCheckout("true")
	p.startJob(1, "exit 3")
	p.startAgent("--containers=2", "--names=checkout,build", uuid).wantStatus(3)

	contents, err := os.ReadFile(p.path("termination-log"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ExitStatus int                `json:"exitStatus"`
		Phases     map[string]float64 `json:"phases"`
		Containers []struct {
			Name   string `json:"name"`
			Status *int   `json:"status"`
		} `json:"containers"`
	}
	if err := json.Unmarshal(contents, &got); err != nil {
		t.Fatalf("%v: %s", err, contents)
	}
	phases := got.Phases
	if got.ExitStatus != 3 || phases["held"] <= 0 || phases["acquired"] < phases["held"] || phases["finished"] < phases["acquired"] {
		t.Errorf("unexpected summary: %s", contents)
	}
	if len(got.Containers) != 2 || got.Containers[0].Status == nil || *got.Containers[0].Status != 0 {
		t.Errorf("want checkout with status 0: %s", contents)
	}
}

func TestCommandFails(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("true")
	first := p.startJob(1, "exit 3")
	second := p.startJob(2, "touch ran")
	agent := p.startAgent("--containers=3", "--names=checkout,build,test", uuid)

	agent.wantStatus(3)
	checkout.wantStatus(0)
	first.wantStatus(3)
	second.wantStatus(1)
	if got := p.result(); got.Status != 3 || strings.Contains(got.Log, "+++") {
		t.Errorf("want status 3 and no accusation, got %d:\n%s", got.Status, got.Log)
	}
	if _, err := os.Stat(p.path("ran")); err == nil {
		t.Error("a container ran although the one before it had failed")
	}
}

// TestNoPolling lets all sides wait and looks at the processor time they use.
func TestNoPolling(t *testing.T) {
	p := newPod(t)
	checkout := p.startCheckout("true")
	job := p.startJob(1, "true")
	agent := p.startAgent("--containers=3", uuid)
	eventually(t, "two containers have started", func() bool { return p.exists("client-0.started") && p.exists("client-1.started") })
	time.Sleep(time.Second)
	for _, c := range []*container{checkout, job, agent} {
		before := ticks(t, c.command.Process.Pid)
		time.Sleep(time.Second)
		// One tick is 10 ms; a loop would use a hundred.
		if used := ticks(t, c.command.Process.Pid) - before; used > 1 {
			t.Errorf("%q used %d ticks of processor time in a second of waiting", c.command.Args[2:], used)
		}
	}
}

func TestOrphansAreReaped(t *testing.T) {
	p := newPod(t)
	p.startCheckout("true")
	job := p.startJob(1, "(sleep 0.05 &) ; sleep 0.05; touch orphaned; while ! test -e seen; do sleep 0.05; done")
	p.startAgent("--containers=2", uuid)
	eventually(t, "the orphan has been left", func() bool { _, err := os.Stat(p.path("orphaned")); return err == nil })
	time.Sleep(300 * time.Millisecond)

	zombies := 0
	for _, child := range children(t, job.command.Process.Pid) {
		stat, err := os.ReadFile("/proc/" + child + "/stat")
		if err == nil && regexp.MustCompile(`\) Z `).Match(stat) {
			zombies++
		}
	}
	if zombies > 0 {
		t.Errorf("%d zombies", zombies)
	}
	if err := os.WriteFile(p.path("seen"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	job.wantStatus(0)
}
