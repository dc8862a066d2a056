package budget

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/graphqlapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// TestBurst schedules 1,000 jobs at once, half of what a window's points can list.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, graphqlapi.PublishedLimits())
		p := w.poller(w.settings("kubernetes"), "kubernetes")
		w.makeQueues("kubernetes")
		p.pollFor(time.Minute)
		w.schedule("kubernetes", 500)
		w.schedule("kubernetes", 500)
		p.pollFor(5 * time.Minute)
		used := w.api.Usage().Users[0]
		t.Logf("%d jobs, %d points, peak %d, waited %s (median), %s (longest)", p.taken(), used.Points, used.Peak, p.quantile(0.5), p.quantile(1))
		if p.taken() != 1000 || p.quantile(1) > 4*time.Minute {
			t.Errorf("%d of 1000 jobs were taken, one waited %s", p.taken(), p.quantile(1))
		}
		if used.Refused > 0 || used.Peak > mostPoints {
			t.Errorf("%d refusals, %d points in a window", used.Refused, used.Peak)
		}
		checkErrors(t, p)
	})
}

// TestBacklog has 2,000 jobs wait for 50 places, and an urgent one come last.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, graphqlapi.PublishedLimits())
		for range 4 {
			w.schedule("kubernetes", 500)
		}
		p := w.poller(w.settings("kubernetes"), "kubernetes")
		p.capacity, p.lasts = 50, 30*time.Second
		p.pollFor(2 * time.Minute)
		urgent := urgentJob(t, w)
		begun := time.Now()
		waited := time.Duration(0)
		for range 1200 {
			jobs, err := p.client.Scheduled(t.Context(), p.known)
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(jobs, func(job jobpod.Job) bool { return job.UUID == urgent }) {
				waited = time.Since(begun)
				break
			}
			p.poll()
			time.Sleep(time.Second)
		}
		p.pollFor(10 * time.Minute)
		used := w.api.Usage().Users[0]
		perJob := float64(used.Points) / float64(p.taken())
		t.Logf("%d jobs, %.2f points per job, peak %d; the urgent job was listed after %s", p.taken(), perJob, used.Peak, waited)
		if waited == 0 || waited > time.Minute {
			t.Errorf("the urgent job was listed after %s", waited)
		}
		// The same job may be listed again before its turn comes.
		if perJob > 6 {
			t.Errorf("%.2f points per job", perJob)
		}
		// 50 places, each free again after 32 seconds and a poll.
		if p.taken() < 900 {
			t.Errorf("%d jobs were taken: places stood empty", p.taken())
		}
		if used.Refused > 0 || used.Peak > mostPoints {
			t.Errorf("%d refusals, %d points in a window", used.Refused, used.Peak)
		}
		checkErrors(t, p)
	})
}

func urgentJob(t *testing.T, w *world) string {
	t.Helper()
	parsed, err := pipeline.Read([]byte(`steps: [{command: make, priority: 7, agents: {queue: kubernetes}}]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	build, err := w.store.CreateBuild(state.NewBuild{Pipeline: parsed})
	if err != nil {
		t.Fatal(err)
	}
	return build.Jobs[0].UUID
}

// TestFloodedQueue has one of two queues flooded: the other's jobs are listed all
// the same.
func TestFloodedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, graphqlapi.PublishedLimits())
		w.makeQueues("quiet")
		for range 4 {
			w.schedule("flooded", 500)
		}
		p := w.poller(w.settings("flooded", "quiet"), "quiet")
		listed := func() map[string]bool {
			jobs, err := p.client.Scheduled(t.Context(), func(string) bool { return false })
			if err != nil {
				t.Fatal(err)
			}
			found := map[string]bool{}
			for _, job := range jobs {
				found[job.UUID] = true
			}
			return found
		}
		for range 60 {
			listed()
			time.Sleep(time.Second)
		}
		quiet := w.schedule("quiet", 1).Jobs[0].UUID
		begun := time.Now()
		for !listed()[quiet] {
			if time.Since(begun) > time.Minute {
				t.Fatal("the job of the quiet queue was not listed within a minute")
			}
			time.Sleep(time.Second)
		}
		t.Logf("listed after %s", time.Since(begun))
	})
}

// TestWithdrawn looks for cancelled jobs among 300 that wait.
func TestWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, graphqlapi.PublishedLimits())
		before := w.schedule("kubernetes", 100)
		build := w.schedule("kubernetes", 300)
		p := w.poller(w.settings("kubernetes"), "kubernetes")
		p.begins = time.Hour
		p.pollFor(3 * time.Minute)
		if p.taken() != 400 {
			t.Fatalf("%d jobs were taken", p.taken())
		}
		var uuids []string
		for _, job := range build.Jobs {
			uuids = append(uuids, job.UUID)
		}
		cost := func() (map[string]dispatcher.JobState, int) {
			had := w.api.Usage().Users[0].Points
			states, err := p.client.States(t.Context(), uuids)
			if err != nil {
				t.Fatal(err)
			}
			return states, w.api.Usage().Users[0].Points - had
		}
		cancel := func(uuids ...string) {
			for _, uuid := range uuids {
				if _, err := w.store.Cancel(uuid, "test"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if states, points := cost(); len(states) != 0 || points > 2 {
			t.Errorf("nothing cancelled: %v for %d points", states, points)
		}
		time.Sleep(time.Minute)
		cancel(uuids[0], uuids[299], before.Jobs[0].UUID)
		if states, points := cost(); len(states) != 2 || !states[uuids[0]].Withdrawn() || !states[uuids[299]].Withdrawn() || points > 10 {
			t.Errorf("two cancelled: %v for %d points", states, points)
		}
		time.Sleep(time.Minute)
		if states, points := cost(); len(states) != 2 || points > 2 {
			t.Errorf("the same two: %v for %d points", states, points)
		}
		time.Sleep(time.Minute)
		cancel(uuids[1:250]...)
		if states, points := cost(); len(states) != 251 {
			t.Errorf("251 cancelled: %d for %d points", len(states), points)
		}
	})
}

// TestOrganizationShare has dispatchers with a token each, which together could
// use up all of the organization's points: they leave half.
func TestOrganizationShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := graphqlapi.PublishedLimits()
		tokens := []string{"t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"}
		limits.Organization = 4000 // a fifth of Buildkite's, so that eight are enough
		w := newWorld(t, limits, tokens...)
		var running sync.WaitGroup
		var pollers []*poller
		for i, token := range tokens {
			queue := fmt.Sprintf("queue-%d", i)
			w.makeQueues(queue)
			settings := w.settings(queue)
			settings.Token = func() (string, error) { return token, nil }
			p := w.poller(settings, queue)
			pollers = append(pollers, p)
			running.Go(func() { p.pollFor(20 * time.Minute) })
			running.Go(func() {
				for end := time.Now().Add(18 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Second) {
					w.schedule(queue, 1)
				}
			})
		}
		running.Wait()
		used := w.api.Usage().Organization
		t.Logf("peak %d of %d points in a window", used.Peak, limits.Organization)
		if share := float64(used.Peak) / float64(limits.Organization); share > buildkiteShare+0.1 {
			t.Errorf("%.2f of the organization's points were used", share)
		}
		for _, p := range pollers {
			if p.taken() < 108 {
				t.Errorf("%s: %d jobs", p.queue, p.taken())
			}
			checkErrors(t, p)
		}
	})
}

// buildkiteShare is the default of BudgetShare.
const buildkiteShare = 0.5
