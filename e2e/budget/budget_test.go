package budget

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/graphqlapi"
)

// A fifth of a user's points is never touched.
const mostPoints = 4000

// TestPointsPerJob runs two jobs a second, which is what design's target is about.
func TestPointsPerJob(t *testing.T) {
	for _, begins := range []time.Duration{time.Second, 4 * time.Second} {
		t.Run(fmt.Sprint("pods begin after ", begins), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, graphqlapi.PublishedLimits())
				w.makeQueues("kubernetes")
				p := w.poller(w.settings("kubernetes"), "kubernetes")
				p.begins = begins
				const duration = 10 * time.Minute
				go func() {
					for end := time.Now().Add(duration - 10*time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
						w.schedule("kubernetes", 1)
					}
				}()
				p.pollFor(duration)
				used := w.api.Usage().Users[0]
				perJob := float64(used.Points) / float64(p.taken())
				t.Logf("%d jobs, %.2f points per job, peak %d points in a window, waited %s (median), %s (p99)",
					p.taken(), perJob, used.Peak, p.quantile(0.5), p.quantile(0.99))
				if want := 2 * int((duration - 10*time.Second).Seconds()); p.taken() < want {
					t.Errorf("%d jobs were taken of %d", p.taken(), want)
				}
				if perJob > 5 {
					t.Errorf("%.2f points per job, want at most 5", perJob)
				}
				if used.Peak > mostPoints || used.Refused > 0 {
					t.Errorf("%d points in a window, want at most %d; %d refusals", used.Peak, mostPoints, used.Refused)
				}
				if p.quantile(0.99) > 10*time.Second {
					t.Errorf("waited %s", p.quantile(0.99))
				}
				checkErrors(t, p)
			})
		})
	}
}

func checkErrors(t *testing.T, p *poller) {
	t.Helper()
	for text, count := range p.errs {
		t.Errorf("%d times: %s", count, text)
	}
}

// TestFortyPollers has forty dispatchers share one token, each with a queue of
// its own, and five more come late.
func TestFortyPollers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count, late = 40, 5
		w := newWorld(t, graphqlapi.PublishedLimits())
		var pollers []*poller
		for i := range count + late {
			queue := fmt.Sprintf("queue-%d", i)
			w.makeQueues(queue)
			pollers = append(pollers, w.poller(w.settings(queue), queue))
		}
		const duration = 30 * time.Minute
		var running sync.WaitGroup
		for i, p := range pollers {
			begins := time.Duration(0)
			if i >= count {
				begins = 10 * time.Minute
			}
			running.Go(func() {
				time.Sleep(begins)
				p.pollFor(duration - begins)
			})
			running.Go(func() {
				time.Sleep(begins + time.Duration(i)*time.Second)
				for end := time.Now().Add(duration - begins - 5*time.Minute); time.Now().Before(end); time.Sleep(2 * time.Minute) {
					w.schedule(p.queue, 1)
				}
			})
		}
		running.Wait()
		used := w.api.Usage().Users[0]
		worst, fewest := time.Duration(0), 1000
		for _, p := range pollers {
			worst = max(worst, p.quantile(1))
			fewest = min(fewest, p.taken())
			checkErrors(t, p)
		}
		t.Logf("%d requests, %d points, peak %d in a window, %d refused; at least %d jobs each, none waited longer than %s",
			used.Requests, used.Points, used.Peak, used.Refused, fewest, worst)
		if used.Refused > 0 || used.Peak > mostPoints {
			t.Errorf("%d refusals, %d points in a window: want none, and at most %d", used.Refused, used.Peak, mostPoints)
		}
		if worst > 2*time.Minute || fewest < 7 {
			t.Errorf("starved: a job waited %s, and a queue had %d jobs", worst, fewest)
		}
	})
}
