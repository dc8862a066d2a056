package state

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const oneJob = `steps: [{command: make, agents: {queue: q}}]`

func TestLifeOfAcquiredJob(t *testing.T) {
	s := newStore(t, Options{})
	job := s.build(oneJob).Jobs[0]
	agent := s.agent("queue=q")

	s.refused(s.Start(job.UUID), http.StatusUnprocessableEntity)
	s.refused(s.Finish(job.UUID, Finish{ExitStatus: "0"}), http.StatusUnprocessableEntity)
	acquired, err := s.Acquire(agent.UUID, job.UUID)
	s.must(err)
	if acquired.Token == "" || acquired.Env["BUILDKITE_AGENT_NAME"] != "tester" || acquired.Env["BUILDKITE_AGENT_META_DATA_QUEUE"] != "q" {
		t.Errorf("acquired %+v", acquired)
	}
	_, err = s.Acquire(agent.UUID, job.UUID)
	s.refused(err, http.StatusUnprocessableEntity)
	s.must(s.Start(job.UUID))
	s.refused(s.Start(job.UUID), http.StatusUnprocessableEntity)
	s.refused(s.Finish(job.UUID, Finish{ExitStatus: "none"}), http.StatusUnprocessableEntity)
	s.must(s.Finish(job.UUID, Finish{ExitStatus: "3", Signal: "SIGSEGV"}))
	s.refused(s.Finish(job.UUID, Finish{ExitStatus: "0"}), http.StatusUnprocessableEntity)

	ended, _ := s.Job(job.UUID)
	three := 3
	got := []any{ended.State, ended.ExitStatus, ended.Signal, ended.Passed}
	if diff := cmp.Diff([]any{Finished, &three, "SIGSEGV", false}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	record, _ := s.Record(job.UUID)
	counts := []int{record.AcquireAttempts, record.Acquisitions, record.Starts, record.Finishes, record.FinishAttempts}
	if diff := cmp.Diff([]int{2, 1, 1, 1, 4}, counts); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestAcquireRefuses(t *testing.T) {
	s := newStore(t, Options{UnclusteredAgentTokens: []string{"loose"}})
	build := s.build(`steps: [{command: a, agents: {queue: q, os: linux}}, wait, {command: b}]`)
	first, wait, second := build.Jobs[0], build.Jobs[1], build.Jobs[2]
	cases := map[string]struct {
		agent  Agent
		job    string
		status int
	}{
		"unknown job":     {s.agent("queue=q"), "none", http.StatusNotFound},
		"wait step":       {s.agent("queue=q"), wait.UUID, http.StatusNotFound},
		"waiting job":     {s.agent(), second.UUID, http.StatusLocked},
		"wrong queue":     {s.agent("queue=other", "os=linux"), first.UUID, http.StatusUnprocessableEntity},
		"one tag missing": {s.agent("queue=q"), first.UUID, http.StatusUnprocessableEntity},
		"another cluster": {s.agentWith("loose", "queue=q", "os=linux"), first.UUID, http.StatusNotFound},
		"unregistered":    {Agent{UUID: "none"}, first.UUID, http.StatusUnauthorized},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := s.Acquire(tc.agent.UUID, tc.job)
			(&store{Store: s.Store, t: t}).refused(err, tc.status)
		})
	}
	if got := s.state(first); got != Scheduled {
		t.Errorf("the job is %s", got)
	}
}

// TestAcquireRace has many agents want one job at once.
func TestAcquireRace(t *testing.T) {
	s := newStore(t, Options{})
	job := s.build(oneJob).Jobs[0]
	var wins, losses int
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 50 {
		agent := s.agent("queue=q")
		group.Go(func() {
			_, err := s.Acquire(agent.UUID, job.UUID)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				wins++
			} else {
				losses++
			}
		})
	}
	group.Wait()
	if wins != 1 || losses != 49 {
		t.Errorf("%d agents got the job, %d did not", wins, losses)
	}
	if record, _ := s.Record(job.UUID); record.AcquireAttempts != 50 || record.Acquisitions != 1 {
		t.Errorf("record %+v", record)
	}
}

func TestCancel(t *testing.T) {
	cases := map[string]struct {
		prepare     func(*store, Agent, Job)
		after, last State
	}{
		"scheduled": {func(*store, Agent, Job) {}, Canceled, Canceled},
		"assigned":  {func(s *store, a Agent, _ Job) { s.Ping(a.UUID) }, Canceled, Canceled},
		"accepted":  {func(s *store, a Agent, j Job) { _, err := s.Acquire(a.UUID, j.UUID); s.must(err) }, Canceling, Canceled},
		"running":   {(*store).begin, Canceling, Canceled},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, Options{})
			build := s.build(oneJob)
			job, agent := build.Jobs[0], s.agent("queue=q")
			tc.prepare(s, agent, job)
			canceled, err := s.Cancel(job.UUID, "test")
			s.must(err)
			if canceled.State != tc.after {
				t.Fatalf("after the cancel it is %s, want %s", canceled.State, tc.after)
			}
			if tc.after == Canceling {
				_, err := s.Cancel(job.UUID, "test") // twice is fine
				s.must(err)
				s.must(s.Finish(job.UUID, Finish{ExitStatus: "-1", SignalReason: "cancel"}))
			}
			_, err = s.Cancel(job.UUID, "test")
			s.refused(err, http.StatusUnprocessableEntity)
			if got := s.state(job); got != tc.last {
				t.Errorf("at last it is %s, want %s", got, tc.last)
			}
			if now, _ := s.Agent(agent.UUID); now.JobUUID != "" {
				t.Errorf("the agent still has job %s", now.JobUUID)
			}
			if now, _ := s.Build(build.UUID); now.State != BuildFailed {
				t.Errorf("the build is %s", now.State)
			}
		})
	}
}

func TestCancelBuild(t *testing.T) {
	s := newStore(t, Options{})
	build := s.build(`steps: [{command: a}, {command: b}, wait, {command: c}]`)
	agent := s.agent()
	s.begin(agent, build.Jobs[0])
	canceling, err := s.CancelBuild(build.UUID, "test")
	s.must(err)
	if diff := cmp.Diff("canceling|canceled|canceled|canceled", s.states(build)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if canceling.State != BuildCanceling {
		t.Errorf("the build is %s", canceling.State)
	}
	s.must(s.Finish(build.Jobs[0].UUID, Finish{ExitStatus: "-1"}))
	if now, _ := s.Build(build.UUID); now.State != BuildCanceled {
		t.Errorf("at last the build is %s", now.State)
	}
	_, err = s.CancelBuild(build.UUID, "test")
	s.refused(err, http.StatusUnprocessableEntity)
}

func TestTimePasses(t *testing.T) {
	options := Options{HeartbeatTimeout: 30 * time.Second, CancelGrace: 10 * time.Second, AssignTimeout: 20 * time.Second}
	minusOne := -1
	cases := map[string]struct {
		text  string
		act   func(*store, Agent, Job)
		after time.Duration
		want  State
		exit  *int
		why   string
		beats bool // the agent goes on sending heartbeats
	}{
		"silent agent":             {oneJob, (*store).begin, 31 * time.Second, Finished, &minusOne, "", false},
		"nearly silent agent":      {oneJob, (*store).begin, 29 * time.Second, Running, nil, "", false},
		"job not accepted":         {oneJob, func(s *store, a Agent, _ Job) { s.Ping(a.UUID) }, 21 * time.Second, Scheduled, nil, "", false},
		"assigned to silent agent": {oneJob, func(s *store, a Agent, _ Job) { s.Ping(a.UUID) }, 31 * time.Second, Scheduled, nil, "", false},
		"cancel not answered": {oneJob, func(s *store, a Agent, j Job) {
			s.begin(a, j)
			_, err := s.Cancel(j.UUID, "test")
			s.must(err)
		}, 11 * time.Second, Canceled, &minusOne, "cancel", false},
		"disconnected with a job": {oneJob, func(s *store, a Agent, j Job) { s.begin(a, j); s.Disconnect(a.UUID) }, 0, Finished, &minusOne, "agent_stop", false},
		"timing out":              {`steps: [{command: a, agents: {queue: q}, timeout_in_minutes: 1}]`, (*store).begin, 61 * time.Second, TimingOut, nil, "", true},
		"timed out":               {`steps: [{command: a, agents: {queue: q}, timeout_in_minutes: 1}]`, (*store).begin, 72 * time.Second, TimedOut, &minusOne, "cancel", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t, options)
				job, agent := s.build(tc.text).Jobs[0], s.agent("queue=q")
				tc.act(s, agent, job)
				for end := time.Now().Add(tc.after); time.Now().Before(end); {
					time.Sleep(time.Second)
					if tc.beats {
						s.Heard(agent.UUID)
					}
					s.Sweep()
				}
				ended, _ := s.Job(job.UUID)
				got := []any{ended.State, ended.ExitStatus, ended.SignalReason}
				if diff := cmp.Diff([]any{tc.want, tc.exit, tc.why}, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if tc.exit != nil {
					// The agent comes back and does not know yet.
					s.refused(s.Finish(job.UUID, Finish{ExitStatus: "0"}), http.StatusUnprocessableEntity)
				}
				if violations := s.Report().Violations; len(violations) > 0 {
					t.Errorf("violations: %v", violations)
				}
			})
		})
	}
}

func TestPing(t *testing.T) {
	s := newStore(t, Options{})
	build := s.build(`
agents: {queue: q}
steps:
  - {command: a}
  - {command: b, priority: 5}
  - {command: c, priority: 5}
  - {command: d, priority: 9, agents: {queue: other}}
  - {command: e, priority: 9, agents: {queue: q, os: mac}}`)
	var given []string
	for range 4 {
		agent := s.agent("queue=q")
		_, uuid := s.Ping(agent.UUID)
		again, repeated := s.Ping(agent.UUID)
		if uuid != repeated || again == "pause" {
			t.Errorf("the second ping gave %q, the first %q", repeated, uuid)
		}
		job, _ := s.Job(uuid)
		given = append(given, job.Command)
		if uuid != "" {
			_, err := s.Accept(agent.UUID, uuid)
			s.must(err)
		}
	}
	if diff := cmp.Diff([]string{"b", "c", "a", ""}, given); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("accepted|accepted|accepted|scheduled|scheduled", s.states(build)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPingGivesNothing(t *testing.T) {
	cases := map[string]func(*store, Agent){
		"paused queue":       func(s *store, _ Agent) { _, err := s.PauseQueue("", "q", true, ""); s.must(err) },
		"paused agent":       func(s *store, a Agent) { _, err := s.DirectAgent(a.UUID, "pause"); s.must(err) },
		"disconnected agent": func(s *store, a Agent) { s.Disconnect(a.UUID) },
		"busy agent":         func(s *store, a Agent) { s.begin(a, s.build(oneJob).Jobs[0]) },
	}
	for name, prepare := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, Options{})
			agent := s.agent("queue=q")
			prepare(s, agent)
			s.build(oneJob)
			if action, uuid := s.Ping(agent.UUID); uuid != "" {
				t.Errorf("the ping gave %q and job %s", action, uuid)
			}
		})
	}
}

func TestAcceptRefuses(t *testing.T) {
	s := newStore(t, Options{})
	job := s.build(oneJob).Jobs[0]
	first, second := s.agent("queue=q"), s.agent("queue=q")
	_, err := s.Accept(first.UUID, job.UUID)
	s.refused(err, http.StatusUnprocessableEntity)
	s.Ping(first.UUID)
	_, err = s.Accept(second.UUID, job.UUID)
	s.refused(err, http.StatusUnprocessableEntity)
	_, err = s.Accept(first.UUID, job.UUID)
	s.must(err)
	_, err = s.Accept(first.UUID, job.UUID)
	s.refused(err, http.StatusUnprocessableEntity)
}

func TestParallelJobs(t *testing.T) {
	s := newStore(t, Options{})
	for i, job := range s.build(`steps: [{command: a, parallelism: 3}]`).Jobs {
		got := []string{job.Env["BUILDKITE_PARALLEL_JOB"], job.Env["BUILDKITE_PARALLEL_JOB_COUNT"]}
		if diff := cmp.Diff([]string{strconv.Itoa(i), "3"}, got); diff != "" {
			t.Errorf("job %d (-want +got):\n%s", i, diff)
		}
	}
}
