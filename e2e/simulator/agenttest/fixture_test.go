package agenttest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// patience bounds every wait; nothing here takes more than a few seconds.
const patience = 60 * time.Second

// fixture is a simulator and a client of it.
type fixture struct {
	*testing.T
	sim    *simulator.Simulator
	client *simulator.Client
	ctx    context.Context
}

// start runs a simulator. At the end of the test its oracle must be content.
func start(t *testing.T, options simulator.Options) *fixture {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	options.PublicURL = "http://" + server.Listener.Addr().String()
	output := &testLog{t: t}
	options.Log = slog.New(slog.NewTextHandler(output, nil))
	sim, err := simulator.New(options)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = sim.Handler()
	server.Start()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, fmt.Errorf("%s is over", patience))
	t.Cleanup(func() {
		for _, violation := range sim.Oracle().Violations() {
			t.Errorf("oracle: %s", violation)
		}
		cancel()
		server.Close()
		sim.Close()
	})
	return &fixture{T: t, sim: sim, client: &simulator.Client{URL: options.PublicURL}, ctx: ctx}
}

// testLog writes to the test's log until the test ends.
type testLog struct {
	mu sync.Mutex
	t  *testing.T
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.t.Context().Err() == nil {
		l.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// agent is a running agent process.
type agent struct {
	*fixture
	command *exec.Cmd
	output  *bytes.Buffer
}

// startAgent runs `buildkite-agent start` with args in directories of its own.
func (f *fixture) startAgent(args ...string) *agent {
	f.Helper()
	home := f.TempDir()
	command := exec.Command(agentBinary, append([]string{"start"}, args...)...)
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home,
		"BUILDKITE_AGENT_ENDPOINT=" + f.client.URL + "/v3",
		"BUILDKITE_AGENT_TOKEN=agent-token",
		"BUILDKITE_BUILD_PATH=" + filepath.Join(home, "builds"),
		"BUILDKITE_PLUGINS_PATH=" + filepath.Join(home, "plugins"),
		"BUILDKITE_AGENT_NAME=tester",
		"BUILDKITE_AGENT_TAGS=queue=tests,os=linux",
		"BUILDKITE_AGENT_PING_MODE=poll-only",
		"BUILDKITE_CANCEL_GRACE_PERIOD=2",
		"BUILDKITE_SIGNAL_GRACE_PERIOD_SECONDS=1",
		"BUILDKITE_NO_COLOR=true",
	}
	a := &agent{fixture: f, command: command, output: &bytes.Buffer{}}
	command.Stdout, command.Stderr = a.output, a.output
	if err := command.Start(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if f.Failed() {
			f.Logf("output of the agent:\n%s", a.output)
		}
	})
	return a
}

// wait waits for the agent to end and returns its exit status.
func (a *agent) wait() int {
	a.Helper()
	done := make(chan error, 1)
	go func() { done <- a.command.Wait() }()
	select {
	case <-done:
		return a.command.ProcessState.ExitCode()
	case <-a.ctx.Done():
		a.Fatalf("the agent has not ended: %v", context.Cause(a.ctx))
		return -1
	}
}

// build makes a build of pipeline text from a repository with one script.
func (f *fixture) build(pipeline string) simulator.Build {
	f.Helper()
	_, err := f.client.CreateRepository(f.ctx, simulator.RepositoryRequest{
		Name: "sample", Files: map[string]simulator.File{"README.md": {Content: "sample\n"}},
	})
	if err != nil {
		f.Fatal(err)
	}
	build, err := f.client.CreateBuild(f.ctx, simulator.BuildRequest{
		Pipeline: pipeline, Repository: "sample", Slug: "sample", MetaData: map[string]string{"given": "before"},
	})
	if err != nil {
		f.Fatal(err)
	}
	return build
}

// ended waits for a build's end.
func (f *fixture) ended(build simulator.Build) simulator.Build {
	f.Helper()
	ended, err := f.client.WaitForBuild(f.ctx, build.UUID, nil)
	if err != nil {
		f.Fatal(err)
	}
	return ended
}

// log returns a job's log.
func (f *fixture) log(job simulator.Job) string {
	f.Helper()
	log, err := f.client.JobLog(f.ctx, job.UUID)
	if err != nil {
		f.Fatal(err)
	}
	return log
}

// inState waits until a job is in a state.
func (f *fixture) inState(job simulator.Job, wanted simulator.State) simulator.Job {
	f.Helper()
	now, err := f.client.WaitForJob(f.ctx, job.UUID, func(job simulator.Job) bool { return job.State == wanted })
	if err != nil {
		f.Fatalf("%v; log:\n%s", err, f.log(job))
	}
	return now
}

// record returns what happened to a job.
func (f *fixture) record(job simulator.Job) simulator.Record {
	f.Helper()
	record, err := f.client.Record(f.ctx, job.UUID)
	if err != nil {
		f.Fatal(err)
	}
	return record
}

// wantLog fails the test unless the job's log holds all the texts.
func (f *fixture) wantLog(job simulator.Job, texts ...string) {
	f.Helper()
	log := f.log(job)
	for _, text := range texts {
		if !strings.Contains(log, text) {
			f.Errorf("the log of job %q lacks %q:\n%s", job.Label, text, log)
		}
	}
}
