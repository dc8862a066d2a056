package budget

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/graphqlapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// TestPausedQueue pauses one of two queues whose jobs wait: those of the other are
// still handed out, and its own within ten seconds no more.
func TestPausedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, graphqlapi.PublishedLimits())
		paused, other := w.schedule("paused", 3).Jobs[0].UUID, w.schedule("other", 3).Jobs[0].UUID
		p := w.poller(w.settings("paused", "other"), "other")
		listed := func() (hasPaused, hasOther bool) {
			jobs, err := p.client.Scheduled(t.Context(), func(string) bool { return false })
			if err != nil {
				t.Fatal(err)
			}
			for _, job := range jobs {
				hasPaused, hasOther = hasPaused || job.UUID == paused, hasOther || job.UUID == other
			}
			return hasPaused, hasOther
		}
		if hasPaused, hasOther := listed(); !hasPaused || !hasOther {
			t.Fatalf("before: %v, %v", hasPaused, hasOther)
		}
		for _, isPaused := range []bool{true, false} {
			if _, err := w.store.PauseQueue("", "paused", isPaused, "test"); err != nil {
				t.Fatal(err)
			}
			for range 11 {
				listed()
				time.Sleep(time.Second)
			}
			if hasPaused, hasOther := listed(); hasPaused == isPaused || !hasOther {
				t.Errorf("paused %v: listed %v, the other queue's %v", isPaused, hasPaused, hasOther)
			}
		}
	})
}

// TestWaitStep has a job that was created long before it is scheduled come after
// younger ones, while many pods wait for a node.
func TestWaitStep(t *testing.T) {
	for name, pending := range map[string]int{"few pods wait": 5, "many pods wait": 200} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, graphqlapi.PublishedLimits())
				parsed, err := pipeline.Read([]byte("steps: [{command: first, agents: {queue: elsewhere}}, wait, {command: second, agents: {queue: kubernetes}}]"), nil)
				if err != nil {
					t.Fatal(err)
				}
				build, err := w.store.CreateBuild(state.NewBuild{Pipeline: parsed})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				w.schedule("kubernetes", pending)
				p := w.poller(w.settings("kubernetes"), "kubernetes")
				p.begins = time.Hour
				p.pollFor(5 * time.Minute)
				before := p.taken()
				w.run(build.Jobs[0].UUID, "elsewhere")
				p.pollFor(2 * time.Minute)
				if before != pending || p.taken() != pending+1 {
					t.Fatalf("%d jobs were taken, then %d", before, p.taken())
				}
				longest := p.waited[len(p.waited)-1]
				t.Logf("waited %s", longest)
				if longest > time.Minute+10*time.Second || (pending < 10 && longest > 5*time.Second) {
					t.Errorf("waited %s", longest)
				}
				checkErrors(t, p)
			})
		})
	}
}

// TestOtherProgram has another program use up the points of the same user: the
// dispatcher stops before the 429, says so, and goes on in the next window.
func TestOtherProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, graphqlapi.PublishedLimits())
		w.makeQueues("kubernetes")
		p := w.poller(w.settings("kubernetes"), "kubernetes")
		p.pollFor(20 * time.Second)
		w.schedule("kubernetes", 400)
		const greedy = `{"query": "{organization(slug: \"example\") {jobs(first: 400) {edges {node {... on JobTypeCommand {priority {number}}}}}}}"}`
		for w.api.Usage().Users[0].Remaining > 900 {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://simulator.test/graphql", strings.NewReader(greedy))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+token)
			if response, err := w.RoundTrip(request); err != nil || response.StatusCode != http.StatusOK {
				t.Fatal(response, err)
			}
		}
		p.pollFor(15 * time.Minute)
		used := w.api.Usage().Users[0]
		t.Logf("%d jobs, %d refused; said %v", p.taken(), used.Refused, p.errs)
		if used.Refused > 0 || p.taken() != 400 || len(p.errs) == 0 {
			t.Errorf("%d refusals, %d jobs of 400 taken, %d kinds of problems: want none, all, and one that says that points are used up", used.Refused, p.taken(), len(p.errs))
		}
	})
}
