package state

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
)

// TestOpenJobs runs most jobs of many and holds the short list against the long
// one.
func TestOpenJobs(t *testing.T) {
	s := newStore(t, Options{})
	build := s.build(`steps: [{command: a, parallelism: 40}]`)
	for round, job := range build.Jobs {
		s.run(job, "0")
		listed, err := s.ListJobs(Filter{States: []State{Scheduled}}, Page{})
		s.must(err)
		if want := len(build.Jobs) - round - 1; listed.Count != want {
			t.Fatalf("%d jobs are listed, want %d", listed.Count, want)
		}
	}
	s.Verdict()
	if len(s.open) > 1 {
		t.Errorf("%d jobs are looked at though all have ended", len(s.open))
	}
	ended, err := s.ListJobs(Filter{States: []State{Finished}}, Page{})
	s.must(err)
	if ended.Count != 40 {
		t.Errorf("%d ended jobs", ended.Count)
	}
	old, _, err := s.Retry(build.Jobs[0].UUID, "test")
	s.refused(err, http.StatusUnprocessableEntity) // it has passed
	s.build(`[{command: b}]`)
	later, err := s.ListJobs(Filter{CreatedFrom: old.CreatedAt.Add(time.Hour)}, Page{})
	s.must(err)
	since, err := s.ListJobs(Filter{CreatedFrom: build.Jobs[39].CreatedAt}, Page{})
	s.must(err)
	if later.Count != 41 || since.Count < 2 || since.Count > 40 {
		t.Errorf("%d and %d jobs since", later.Count, since.Count)
	}
}

// TestUnclustered is an organization without clusters.
func TestUnclustered(t *testing.T) {
	s := newStore(t, Options{Unclustered: true, DefaultQueue: "main"})
	build := s.build(`[{command: a}, {command: b, agents: {queue: q}}]`)
	if got := s.Clusters(); len(got) != 0 {
		t.Errorf("clusters %+v", got)
	}
	if job := build.Jobs[0]; job.ClusterUUID != "" || job.QueueKey != "" {
		t.Errorf("the job is %+v", job)
	}
	if diff := cmp.Diff([]string{"queue=main"}, build.Jobs[0].Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	s.run(build.Jobs[0], "0")
	s.run(build.Jobs[1], "0")
	_, err := s.PauseQueue("", "q", true, "")
	s.refused(err, http.StatusNotFound)
	// It may get clusters.
	_, err = s.AddCluster("first", "first-token", "")
	s.must(err)
	if job := s.buildOf(NewBuild{Slug: "clustered"}, oneJob).Jobs[0]; job.ClusterUUID == "" {
		t.Errorf("the job is %+v", job)
	}
	for outside, want := range map[bool]int{true: 2, false: 3} {
		listed, err := s.ListJobs(Filter{OutsideClusters: outside}, Page{})
		s.must(err)
		if listed.Count != want {
			t.Errorf("outside clusters %t: %d jobs, want %d", outside, listed.Count, want)
		}
	}
}

// TestDefaultQueues: each cluster has its own, for jobs and for agents.
func TestDefaultQueues(t *testing.T) {
	s := newStore(t, Options{})
	_, err := s.AddCluster("second", "second-token", "builders")
	s.must(err)
	job := s.buildOf(NewBuild{Cluster: "second"}, `[{command: a}]`).Jobs[0]
	if job.QueueKey != "builders" || job.Rules[0] != "queue=builders" {
		t.Errorf("the job is %+v", job)
	}
	agent := s.agentWith("second-token")
	if diff := cmp.Diff([]string{"queue=builders"}, agent.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	s.begin(agent, job)
}

func TestSetAgentToken(t *testing.T) {
	s := newStore(t, Options{})
	known := func(token string) bool { _, ok := s.Identify(token); return ok }
	agent := s.agent()
	s.must(s.SetAgentToken("next", "", false))
	s.must(s.SetAgentToken("loose", Unclustered, false))
	s.must(s.SetAgentToken("agent-token", "", true))
	if !known("next") || known("agent-token") {
		t.Error("the token was not changed")
	}
	job := s.build(`[{command: a}]`).Jobs[0]
	s.begin(agent, job) // registered before
	_, err := s.Acquire(s.agentWith("loose").UUID, job.UUID)
	s.refused(err, http.StatusNotFound)
	s.refused(s.SetAgentToken("none", "", true), http.StatusNotFound)
	s.refused(s.SetAgentToken("", "", false), http.StatusUnprocessableEntity)
	s.refused(s.SetAgentToken("x", "nowhere", false), http.StatusNotFound)
	s.refused(s.SetAgentToken(s.agents[0].token, "", true), http.StatusUnprocessableEntity)
}

// TestOracleAtOnce has agents race for jobs, people cancel and retry, and others
// list and ask for the verdict all the time: every job is acquired and finished
// once, and both of the oracle's answers say the same.
func TestOracleAtOnce(t *testing.T) {
	s := newStore(t, Options{})
	build := s.build(`steps: [{command: a, agents: {queue: q}, parallelism: 200, retry: {automatic: [{exit_status: 7, limit: 10}]}}]`)
	var workers, watchers sync.WaitGroup
	done := make(chan struct{})
	watch := func(look func()) {
		watchers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					look()
				}
			}
		})
	}
	last := 50
	watch(func() { _, _ = s.ListJobs(Filter{States: []State{Scheduled}}, Page{Last: &last}) })
	watch(func() {
		if verdict := s.Verdict(); len(verdict.Violations) > 0 {
			t.Error(verdict.Violations)
		}
	})
	watch(func() { s.Sweep(); time.Sleep(time.Millisecond) })
	for i, job := range build.Jobs {
		for range 2 { // two agents for every job
			agent := s.agent("queue=q")
			workers.Go(func() {
				if _, err := s.Acquire(agent.UUID, job.UUID); err != nil {
					return
				}
				_ = s.Start(job.UUID)
				_ = s.Finish(job.UUID, Finish{ExitStatus: map[bool]string{true: "7", false: "0"}[i%10 == 0]})
			})
		}
		if i%17 == 0 {
			workers.Go(func() { _, _ = s.Cancel(job.UUID, "test") })
		}
	}
	workers.Wait()
	close(done)
	watchers.Wait()
	report, verdict := s.Report(), s.Verdict()
	if len(report.Violations) > 0 || len(verdict.Violations) > 0 {
		t.Errorf("violations %v and %v", report.Violations, verdict.Violations)
	}
	acquired, finished, retried := 0, 0, 0
	for _, record := range report.Records {
		acquired, finished, retried = acquired+record.Acquisitions, finished+record.Finishes, retried+record.Retries
	}
	want := []int{acquired, finished, retried, len(report.Records)}
	got := []int{verdict.Totals.Acquired, verdict.Totals.Finished, verdict.Totals.Retried, verdict.Totals.Jobs}
	if diff := cmp.Diff(want, got); diff != "" || acquired < 180 || retried < 10 {
		t.Errorf("sums (-records +totals):\n%s", diff)
	}
}

// BenchmarkListJobs lists all scheduled jobs of a store in pages of 500, oldest
// first, as the dispatcher does; most of the store has ended in the second case.
func BenchmarkListJobs(b *testing.B) {
	for _, size := range []struct{ scheduled, ended int }{{1_000, 0}, {10_000, 0}, {10_000, 80_000}} {
		b.Run(fmt.Sprintf("scheduled=%d/ended=%d", size.scheduled, size.ended), func(b *testing.B) {
			s := New(Options{})
			for made := 0; made < size.ended; made += 5_000 {
				build := benchBuild(b, s, 5_000)
				if _, err := s.CancelBuild(build.UUID, "bench"); err != nil {
					b.Fatal(err)
				}
			}
			benchBuild(b, s, size.scheduled)
			filter := Filter{States: []State{Scheduled}, Types: []string{TypeCommand}, Rules: []string{"queue=q"}}
			number := 500
			before := processorTime(b)
			for b.Loop() {
				seen := 0
				page := Page{Last: &number}
				for {
					listed, err := s.ListJobs(filter, page)
					if err != nil {
						b.Fatal(err)
					}
					seen += len(listed.Items)
					if !listed.HasPrev {
						break
					}
					page.Before = &listed.Cursors[0]
				}
				if seen != size.scheduled {
					b.Fatalf("saw %d jobs", seen)
				}
			}
			pages := float64(b.N) * float64(size.scheduled/500)
			b.ReportMetric(float64(b.Elapsed().Microseconds())/pages, "µs/page")
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/pages, "cpu-µs/page")
		})
	}
}

// processorTime is what the process has used; unlike the clock it does not count
// what others on the machine do.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func benchBuild(b *testing.B, s *Store, jobs int) Build {
	b.Helper()
	parsed, err := pipeline.Read([]byte(strings.ReplaceAll(`steps: [{command: a, agents: {queue: q}, parallelism: N}]`, "N", fmt.Sprint(jobs))), nil)
	if err != nil {
		b.Fatal(err)
	}
	build, err := s.CreateBuild(NewBuild{Pipeline: parsed})
	if err != nil {
		b.Fatal(err)
	}
	return build
}
