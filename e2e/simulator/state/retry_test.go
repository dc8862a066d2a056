package state

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// latest returns the job that has taken the place of job, or job itself.
func (s *store) latest(job Job) Job {
	s.t.Helper()
	for {
		now, ok := s.Job(job.UUID)
		if !ok {
			s.t.Fatalf("no job %s", job.UUID)
		}
		if !now.Retried {
			return now
		}
		job = Job{UUID: now.RetriedInUUID}
	}
}

// fail has an agent of its own run the latest job and end it so: "3", "-1
// agent_stop" or "137 none SIGKILL".
func (s *store) fail(job Job, how string) {
	s.t.Helper()
	job = s.latest(job)
	parts := append(strings.Fields(how), "", "")
	agent := s.agent(job.Rules...)
	s.begin(agent, job)
	reason := parts[1]
	if reason == "none" {
		reason = ""
	}
	s.must(s.Finish(job.UUID, Finish{ExitStatus: parts[0], SignalReason: reason, Signal: parts[2]}))
}

func TestRetryAutomatically(t *testing.T) {
	cases := map[string]struct {
		retry string
		ends  []string // of one attempt after the other
		want  int      // retries
		build BuildState
	}{
		"no rule":                     {`{}`, []string{"1"}, 0, BuildFailed},
		"true, twice":                 {`{automatic: true}`, []string{"1", "2", "3"}, 2, BuildFailed},
		"true, then it passes":        {`{automatic: true}`, []string{"1", "0"}, 1, BuildPassed},
		"another status":              {`{automatic: [{exit_status: 5}]}`, []string{"4"}, 0, BuildFailed},
		"one of the statuses":         {`{automatic: [{exit_status: [4, 5], limit: 1}]}`, []string{"5", "4"}, 1, BuildFailed},
		"each rule has its own count": {`{automatic: [{exit_status: 1, limit: 1}, {exit_status: 2, limit: 1}]}`, []string{"1", "2", "1"}, 2, BuildFailed},
		"the first match counts":      {`{automatic: [{exit_status: 1, limit: 0}, {exit_status: "*", limit: 5}]}`, []string{"2", "1"}, 1, BuildFailed},
		"a stopped agent":             {`{automatic: [{signal_reason: agent_stop}]}`, []string{"-1 agent_stop", "0"}, 1, BuildPassed},
		"no reason, though":           {`{automatic: [{exit_status: -1, signal_reason: none}]}`, []string{"-1 agent_stop"}, 0, BuildFailed},
		"a fault of the stack":        {`{automatic: [{exit_status: 200, signal_reason: stack_error}]}`, []string{"200 stack_error", "200"}, 1, BuildFailed},
		"by signal":                   {`{automatic: [{signal: kill}]}`, []string{"137 none SIGKILL", "137"}, 1, BuildFailed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, Options{})
			build := s.build(`steps: [{command: make, key: k, agents: {queue: q}, retry: ` + tc.retry + `}, {command: after, depends_on: k}]`)
			first := build.Jobs[0]
			for _, end := range tc.ends {
				s.fail(first, end)
			}
			last := s.latest(first)
			if last.RetriesCount != tc.want || !last.Ended() {
				t.Errorf("%d retries, want %d; it is %s", last.RetriesCount, tc.want, last.State)
			}
			if got := last.Env["BUILDKITE_RETRY_COUNT"]; got != strconv.Itoa(tc.want) || last.Env["BUILDKITE_JOB_ID"] != last.UUID {
				t.Errorf("environment %v", last.Env)
			}
			after := s.latest(build.Jobs[1])
			if tc.build == BuildPassed {
				s.run(after, "0")
			}
			now, _ := s.Build(build.UUID)
			if now.State != tc.build {
				t.Errorf("the build is %s, want %s", now.State, tc.build)
			}
			if verdict := s.Verdict(); len(verdict.Violations) > 0 || verdict.Totals.Retried != tc.want {
				t.Errorf("verdict %+v", verdict)
			}
		})
	}
}

// TestRetriedJob looks at the pair of jobs.
func TestRetriedJob(t *testing.T) {
	s := newStore(t, Options{})
	build := s.build(`steps: [{command: a, parallelism: 2, priority: 4, env: {A: b}, retry: {automatic: true}}, wait, {command: c}]`)
	s.fail(build.Jobs[1], "9")
	old, _ := s.Job(build.Jobs[1].UUID)
	next := s.latest(old)
	got := []any{old.Retried, old.RetryType, old.State, next.State, next.RetrySourceUUID, next.ParallelIndex, next.Priority, next.Env["A"], next.StepUUID}
	want := []any{true, RetryAutomatic, Finished, Scheduled, old.UUID, 1, 4, "b", old.StepUUID}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if next.UUID == old.UUID || next.AgentUUID != "" || next.LogBytes != 0 {
		t.Errorf("the new job is %+v", next)
	}
	if diff := cmp.Diff("scheduled|finished|scheduled|waiting|waiting", s.states(build)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.run(build.Jobs[0], "0")
	s.fail(next, "0")
	if diff := cmp.Diff("finished|finished|finished|finished|scheduled", s.states(build)); diff != "" {
		t.Errorf("a retried job that failed counts (-want +got):\n%s", diff)
	}
	// The old job is history for everybody.
	_, err := s.Acquire(s.agent().UUID, old.UUID)
	s.refused(err, http.StatusUnprocessableEntity)
}

// TestNeverRetried: what people ended stays ended.
func TestNeverRetried(t *testing.T) {
	const step = `steps: [{command: make, agents: {queue: q}, retry: {automatic: [{exit_status: "*"}, {exit_status: -1}, {signal_reason: cancel}]}}]`
	cases := map[string]func(*store, Build, Agent){
		"canceled while it ran": func(s *store, b Build, a Agent) {
			s.begin(a, b.Jobs[0])
			_, err := s.Cancel(b.Jobs[0].UUID, "test")
			s.must(err)
			s.must(s.Finish(b.Jobs[0].UUID, Finish{ExitStatus: "-1", SignalReason: "cancel"}))
		},
		"canceled before": func(s *store, b Build, _ Agent) { _, err := s.Cancel(b.Jobs[0].UUID, "test"); s.must(err) },
		"canceled build": func(s *store, b Build, a Agent) {
			s.begin(a, b.Jobs[0])
			_, err := s.CancelBuild(b.UUID, "test")
			s.must(err)
			s.must(s.Finish(b.Jobs[0].UUID, Finish{ExitStatus: "1"}))
		},
		"passed": func(s *store, b Build, a Agent) {
			s.begin(a, b.Jobs[0])
			s.must(s.Finish(b.Jobs[0].UUID, Finish{ExitStatus: "0"}))
		},
	}
	for name, act := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, Options{})
			build := s.build(step)
			act(s, build, s.agent("queue=q"))
			if now, _ := s.Build(build.UUID); len(now.Jobs) != 1 || !now.State.Ended() {
				t.Errorf("%d jobs, the build is %s", len(now.Jobs), now.State)
			}
		})
	}
}

func TestRetryByHand(t *testing.T) {
	s := newStore(t, Options{})
	build := s.build(`
steps:
  - {command: a, key: a}
  - {command: b, retry: {manual: {allowed: false, reason: it deploys}}}
  - {command: c, retry: {manual: {permit_on_passed: true}}}
  - {command: d}
  - wait
  - {command: e}`)
	retry := func(index, status int) Job {
		t.Helper()
		_, next, err := s.Retry(build.Jobs[index].UUID, "test")
		if status != 0 {
			s.refused(err, status)
			return Job{}
		}
		s.must(err)
		return next
	}
	retry(0, http.StatusUnprocessableEntity) // has not ended
	retry(4, http.StatusNotFound)            // is no command
	s.fail(build.Jobs[0], "1")
	s.fail(build.Jobs[1], "1")
	s.fail(build.Jobs[2], "0")
	s.fail(build.Jobs[3], "0")
	if diff := cmp.Diff("finished|finished|finished|finished|waiting_failed|waiting_failed", s.states(build)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	retry(1, http.StatusUnprocessableEntity) // forbidden
	retry(3, http.StatusUnprocessableEntity) // passed
	retry(5, http.StatusUnprocessableEntity) // never ran
	retry(2, 0)
	next := retry(0, 0)
	retry(0, http.StatusUnprocessableEntity) // again
	if next.State != Scheduled || next.RetriesCount != 1 {
		t.Errorf("the new job is %+v", next)
	}
	// What had failed for waiting waits again.
	if diff := cmp.Diff("finished|scheduled|finished|finished|scheduled|finished|waiting|waiting", s.states(build)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if listed, err := s.ListJobs(Filter{States: []State{Waiting}}, Page{}); err != nil || listed.Count != 2 {
		t.Errorf("%d jobs wait, %v", listed.Count, err)
	}
	_, err := s.Cancel(next.UUID, "test")
	s.must(err)
	if _, _, err := s.Retry(next.UUID, "test"); err != nil {
		t.Errorf("a canceled job cannot be retried: %v", err)
	}
}

// TestExpiry: who waits too long for an agent is not run.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{ScheduledExpiry: time.Hour})
		build := s.build(`steps: [{command: a, agents: {queue: q}, retry: {automatic: true}}, {command: b}, wait, {command: c}]`)
		second := build.Jobs[1]
		time.Sleep(59 * time.Minute)
		s.Sweep()
		s.begin(s.agent(), second)
		time.Sleep(2 * time.Minute)
		s.Sweep()
		if diff := cmp.Diff("expired|running|waiting|waiting", s.states(build)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		expired, _ := s.Job(build.Jobs[0].UUID)
		if expired.ExpiredAt.IsZero() || expired.ExitStatus != nil || expired.Passed {
			t.Errorf("the job is %+v", expired)
		}
		_, err := s.Acquire(s.agent("queue=q").UUID, expired.UUID)
		s.refused(err, http.StatusUnprocessableEntity)
		s.must(s.Finish(second.UUID, Finish{ExitStatus: "0"}))
		if now, _ := s.Build(build.UUID); now.State != BuildFailed {
			t.Errorf("the build is %s", now.State)
		}
		if verdict := s.Verdict(); verdict.Totals.Expired != 1 || len(verdict.Violations) > 0 {
			t.Errorf("verdict %+v", verdict)
		}
	})
}

// TestLostAgentIsRetried: a lost agent's job ends with -1 and no reason, and a
// rule that says so catches it.
func TestLostAgentIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{HeartbeatTimeout: 20 * time.Second})
		build := s.build(`steps: [{command: a, agents: {queue: q}, retry: {automatic: [{exit_status: -1, signal_reason: none}]}}]`)
		agent := s.agent("queue=q")
		s.begin(agent, build.Jobs[0])
		time.Sleep(21 * time.Second)
		s.Sweep()
		if diff := cmp.Diff("finished|scheduled", s.states(build)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if lost, _ := s.Agent(agent.UUID); lost.Connection != AgentLost || lost.LostAt.IsZero() {
			t.Errorf("the agent is %+v", lost)
		}
		other := s.agent("queue=q")
		s.begin(other, s.latest(build.Jobs[0]))
		_, err := s.DirectAgent(other.UUID, "lose")
		s.must(err)
		if diff := cmp.Diff("finished|finished|scheduled", s.states(build)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if verdict := s.Verdict(); verdict.Totals.Lost != 2 || len(verdict.Violations) > 0 {
			t.Errorf("verdict %+v", verdict)
		}
	})
}
