package agenttest

import (
	"syscall"
	"testing"
	"time"

	"github.com/buildkite/agent/v3/core"
	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// outcome is what a job's end is compared by.
type outcome struct {
	State        simulator.State
	ExitStatus   int
	SignalReason string
}

func outcomeOf(job simulator.Job) outcome {
	result := outcome{State: job.State, SignalReason: job.SignalReason}
	if job.ExitStatus != nil {
		result.ExitStatus = *job.ExitStatus
	}
	return result
}

const sleeping = `steps: [{command: "echo begun; sleep 300", agents: {queue: tests}}]`

// TestCancelRunning cancels a job that a pinging agent runs.
func TestCancelRunning(t *testing.T) {
	f := start(t, simulator.Options{})
	build := f.build(sleeping)
	agent := f.startAgent("--disconnect-after-job")
	job := f.inState(build.Commands()[0], "running")
	if _, err := f.client.CancelJob(f.ctx, job.UUID); err != nil {
		t.Fatal(err)
	}
	ended := f.inState(job, "canceled")
	if diff := cmp.Diff(outcome{"canceled", -1, "cancel"}, outcomeOf(ended)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	agent.wait()
	if record := f.record(job); record.Finishes != 1 || record.Cancels != 1 {
		t.Errorf("record %+v", record)
	}
}

// TestLostAgent kills an agent, which can say nothing any more.
func TestLostAgent(t *testing.T) {
	f := start(t, simulator.Options{HeartbeatTimeout: 3 * time.Second, HeartbeatInterval: time.Second})
	build := f.build(sleeping)
	agent := f.startAgent("--acquire-job", build.Commands()[0].UUID)
	job := f.inState(build.Commands()[0], "running")
	if err := agent.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ended := f.inState(job, "finished")
	if diff := cmp.Diff(outcome{"finished", -1, ""}, outcomeOf(ended)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if record := f.record(job); record.FinishAttempts != 0 {
		t.Errorf("somebody finished the job: %+v", record)
	}
}

// TestStoppedAgent ends an agent in good order: it says so itself.
func TestStoppedAgent(t *testing.T) {
	f := start(t, simulator.Options{})
	build := f.build(sleeping)
	agent := f.startAgent("--acquire-job", build.Commands()[0].UUID)
	job := f.inState(build.Commands()[0], "running")
	// The first signal lets the job go on, the second does not.
	signal := func() {
		if err := agent.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	signal()
	time.Sleep(500 * time.Millisecond) // signals of one moment are one signal
	signal()
	ended := f.inState(job, "finished")
	if diff := cmp.Diff(outcome{"finished", -1, "agent_stop"}, outcomeOf(ended)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if record := f.record(job); record.Finishes != 1 {
		t.Errorf("record %+v", record)
	}
}

// TestSecondAcquisition has two agents want one job: the second is told 422,
// which the agent turns into exit status 27.
func TestSecondAcquisition(t *testing.T) {
	f := start(t, simulator.Options{})
	build := f.build(sleeping)
	job := build.Commands()[0]
	f.startAgent("--acquire-job", job.UUID)
	f.inState(job, "running")
	if status := f.startAgent("--acquire-job", job.UUID).wait(); status != 27 {
		t.Errorf("the second agent exited with %d, want 27", status)
	}
	if record := f.record(job); record.AcquireAttempts != 2 || record.Acquisitions != 1 {
		t.Errorf("record %+v", record)
	}
}

// TestAcquireWaitingJob acquires a job that still waits for another: 423 until
// the other has ended.
func TestAcquireWaitingJob(t *testing.T) {
	f := start(t, simulator.Options{})
	build := f.build(`steps: [{command: sleep 3, agents: {queue: tests}}, wait, {command: echo second, agents: {queue: tests}}]`)
	first, second := build.Commands()[0], build.Commands()[1]
	waiting := f.startAgent("--acquire-job", second.UUID)
	f.startAgent("--acquire-job", first.UUID)
	if status := waiting.wait(); status != 0 {
		t.Errorf("the waiting agent exited with %d", status)
	}
	f.wantLog(second, "second")
	record := f.record(second)
	if record.Acquisitions != 1 || record.AcquireAttempts < 2 {
		t.Errorf("record %+v", record)
	}
}

// TestCoreFailsJob is how a controller tells Buildkite that a job cannot run: by
// the agent's core package, which uses its access token for everything.
func TestCoreFailsJob(t *testing.T) {
	f := start(t, simulator.Options{})
	job := f.build(sleeping).Commands()[0]
	controller, err := core.NewController(f.ctx, "agent-token", "failer", []string{"queue=tests"}, core.WithEndpoint(f.client.URL+"/v3"), core.WithAllowHTTP2(false))
	if err != nil {
		t.Fatal(err)
	}
	acquired, err := controller.AcquireJob(f.ctx, job.UUID)
	if err != nil {
		t.Fatal(err)
	}
	jobController := controller.NewJobController(acquired)
	if err := jobController.Start(f.ctx); err != nil {
		t.Fatal(err)
	}
	if err := jobController.WriteLog(f.ctx, "no such image\n"); err != nil {
		t.Fatal(err)
	}
	if err := jobController.Finish(f.ctx, core.ProcessExit{Status: 200, SignalReason: "stack_error"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := controller.Close(f.ctx); err != nil {
		t.Fatal(err)
	}
	ended := f.inState(job, "finished")
	if diff := cmp.Diff(outcome{"finished", 200, "stack_error"}, outcomeOf(ended)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.wantLog(job, "no such image")
}
