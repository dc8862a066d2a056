package state

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestListingsStayRight does everything that changes jobs, in random order, and
// after each step holds every list that is kept against a look at all jobs.
func TestListingsStayRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{HeartbeatTimeout: 10 * time.Minute, AssignTimeout: 5 * time.Second, CancelGrace: 5 * time.Second, ScheduledExpiry: 10 * time.Minute})
		random := rand.New(rand.NewPCG(1, 2))
		no := false
		filters := []Filter{
			{}, {States: []State{Scheduled}, Types: []string{TypeCommand}, Rules: []string{"queue=q"}}, {States: []State{Waiting, WaitingFailed}},
			{States: []State{Assigned}}, {States: []State{Accepted, Running}}, {States: []State{Canceling, Canceled}}, {States: []State{TimingOut, TimedOut}},
			{States: []State{Finished}, Passed: &no}, {States: []State{Skipped, Expired}}, {Priorities: []int{5}, States: []State{Scheduled}}, {FinishedOn: time.Now()},
		}
		var agents []Agent
		anyJob := func() Job {
			if len(s.jobs) == 0 {
				return Job{}
			}
			return s.jobs[random.IntN(len(s.jobs))].snapshot()
		}
		// one of the jobs in a state, if there is one
		in := func(states ...State) Job {
			var found []*job
			for _, j := range s.jobs {
				if slices.Contains(states, j.state) {
					found = append(found, j)
				}
			}
			if len(found) == 0 {
				return Job{UUID: "none"}
			}
			return found[random.IntN(len(found))].snapshot()
		}
		acts := map[string]func(){
			"build": func() {
				s.build(`
agents: {queue: q}
steps:
  - {command: a, key: a, timeout_in_minutes: 1, retry: {automatic: true}}
  - {command: b, parallelism: 3, priority: 5, timeout_in_minutes: 1}
  - {command: c, skip: true}
  - wait
  - {command: d, depends_on: a}`)
			},
			"agent":   func() { agents = append(agents, s.agent("queue=q")) },
			"ping":    func() { _, uuid := s.Ping(agents[random.IntN(len(agents))].UUID); _ = uuid },
			"acquire": func() { _, _ = s.Acquire(agents[random.IntN(len(agents))].UUID, in(Scheduled, Assigned).UUID) },
			"accept": func() {
				agent := agents[random.IntN(len(agents))]
				now, _ := s.Agent(agent.UUID)
				_, _ = s.Accept(agent.UUID, now.JobUUID)
			},
			"start": func() { _ = s.Start(in(Accepted).UUID) },
			"finish": func() {
				_ = s.Finish(in(Running, Canceling, TimingOut).UUID, Finish{ExitStatus: strconv.Itoa(random.IntN(2))})
			},
			"cancel":     func() { _, _ = s.Cancel(anyJob().UUID, "test") },
			"stop build": func() { _, _ = s.CancelBuild(anyJob().BuildUUID, "test") },
			"retry":      func() { _, _, _ = s.Retry(anyJob().UUID, "test") },
			"priority":   func() { _ = s.SetPriority(anyJob().UUID, 5) },
			"step":       func() { _ = s.UpdateStep(anyJob().BuildUUID, "a", "priority", "5", false) },
			"upload":     func() { _ = s.UploadPipeline(in(Running).UUID, newUUID(), []byte(`[{command: up}]`), true) },
			"disconnect": func() {
				if random.IntN(5) == 0 {
					s.Disconnect(agents[random.IntN(len(agents))].UUID)
				}
			},
			"time": func() { time.Sleep(time.Duration(random.IntN(90)) * time.Second); s.Sweep() },
			"heartbeats": func() {
				for _, agent := range agents {
					s.Heard(agent.UUID)
				}
			},
		}
		names := []string{"build", "agent"}
		names = slices.AppendSeq(names, maps.Keys(acts))
		slices.Sort(names) // the same every time
		acts["build"]()
		acts["agent"]()
		states := map[State]bool{}
		for step := range 1_500 {
			name := names[random.IntN(len(names))]
			if (name == "build" || name == "agent") && step%10 > 0 {
				name = []string{"ping", "accept", "start", "acquire", "finish", "heartbeats"}[random.IntN(6)]
			}
			acts[name]()
			for _, filter := range filters {
				s.mu.Lock()
				kept := s.pick(&filter)
				var want []string
				for _, j := range slices.Backward(s.jobs) {
					if filter.picks(j) {
						want = append(want, j.uuid)
					}
				}
				var got []string
				for _, j := range kept {
					got = append(got, j.uuid)
				}
				s.mu.Unlock()
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("step %d, after %s, %+v (-want +got):\n%s", step, name, filter, diff)
				}
			}
			for _, j := range s.jobs {
				states[j.state] = true
			}
		}
		if violations := s.Verdict().Violations; len(violations) > 0 {
			t.Error(violations)
		}
		if len(states) < 13 {
			t.Errorf("only the states %v were met", states)
		}
	})
}

func TestListingsAreBounded(t *testing.T) {
	s := newStore(t, Options{})
	s.build(oneJob)
	for priority := range 3 * maxListings {
		_, err := s.ListJobs(Filter{Priorities: []int{priority}}, Page{})
		s.must(err)
	}
	if len(s.listings.kept) > maxListings {
		t.Errorf("%d filters are kept", len(s.listings.kept))
	}
	for range 3 * maxChanges {
		s.must(s.SetPriority(s.jobs[0].uuid, 1))
	}
	if len(s.listings.changes) > 2*maxChanges {
		t.Errorf("%d changes are kept", len(s.listings.changes))
	}
}
