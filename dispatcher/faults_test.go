package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// mortal is a world as a leader sees it that stops at some point and answers
// only much later: a process that is killed, or only paused.
type mortal struct {
	*world
	mu      sync.Mutex
	point   string
	isDead  bool
	resumes chan struct{}
}

// at stops for ever once the point has been reached.
func (m *mortal) at(point string) {
	m.mu.Lock()
	m.isDead = m.isDead || point == m.point
	isDead := m.isDead
	m.mu.Unlock()
	if isDead {
		<-m.resumes
	}
}

func (m *mortal) Scheduled(ctx context.Context, known func(string) bool) ([]jobpod.Job, error) {
	jobs, err := m.world.Scheduled(ctx, known)
	m.at("after the poll")
	return jobs, err
}

func (m *mortal) Submit(ctx context.Context, pod *unstructured.Unstructured) (*PodRecord, error) {
	m.at("before a create")
	record, err := m.world.Submit(ctx, pod)
	m.at("after a create")
	return record, err
}

func (m *mortal) Fail(ctx context.Context, job jobpod.Job, failure Failure) error {
	m.at("before a failure")
	err := m.world.Fail(ctx, job, failure)
	m.at("after a failure")
	return err
}

func (m *mortal) Delete(ctx context.Context, pod *PodRecord, unchanged bool) error {
	m.at("before a delete")
	err := m.world.Delete(ctx, pod, unchanged)
	m.at("after a delete")
	return err
}

// A leader is killed, or paused, at any point, and another takes over; the first
// may even come back. Each job has one pod or fails once.
func TestLeaderDiesAnywhere(t *testing.T) {
	points := []string{"after the poll", "before a create", "after a create", "before a failure", "after a failure", "before a delete", "after a delete"}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				var good []string
				for i := range 10 {
					good = append(good, w.schedule(i, 0))
				}
				bad := w.inTrouble(20, Trouble{Cause: CauseImageMissing, Container: "build", Permanent: true})
				first := &mortal{world: w, point: point, resumes: make(chan struct{})}
				dying := dispatcherIn(w, Limits{JobTTL: time.Hour})
				dying.Source, dying.Submitter, dying.Deleter = first, first, first
				dying.queues[0].Failer = first
				ctx, cancel := context.WithCancel(t.Context())
				var running sync.WaitGroup
				work := func(d *Dispatcher) {
					running.Go(func() { d.run(ctx) })
					running.Go(func() { (&reaper{dispatcher: d}).run(ctx) })
				}
				work(dying)
				pass(2 * time.Minute)
				if !first.isDead {
					t.Fatal("the leader did not die")
				}
				work(dispatcherIn(w, Limits{JobTTL: time.Hour}))
				pass(5 * time.Minute)
				check := func(when string, made int) {
					for _, uuid := range good {
						if w.pods[jobpod.PodName(uuid)] == nil {
							t.Errorf("%s: job %s has no pod", when, uuid)
						}
					}
					if w.uids > made || len(w.failed) != 1 || w.failed[bad].ExitStatus != ExitImage || w.pods[jobpod.PodName(bad)] != nil {
						t.Errorf("%s: %d pods made, failed %v", when, w.uids, w.failed)
					}
				}
				check("after the take-over", 11)
				close(first.resumes)
				pass(5 * time.Minute)
				// It may have had the failed job's pod on its lips: that one's
				// agent would be refused the job, and it is deleted.
				check("after the first came back", 12)
				cancel()
				running.Wait()
			})
		})
	}
}

// The API server is away, busy, or takes pods without saying so.
func TestAPIServerFaults(t *testing.T) {
	cases := map[string]struct {
		err   error
		loses bool
		// attempts is the most creations in ten minutes.
		attempts int
	}{
		"no connection":    {errors.New("connection refused"), false, 60},
		"overload":         {refusal(429, "too many requests"), false, 10 * 40},
		"error of its own": {refusal(500, "etcdserver: leader changed"), false, 10 * 40},
		"webhook is down":  {refusal(500, `failed calling webhook "mutator"`), false, 60},
		"lost answers":     {errors.New("unexpected EOF"), true, 60},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			for i := range 10 {
				w.schedule(i, 0)
			}
			w.mutating, w.losesAnswers = tc.err, tc.loses
			simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
				pass(10 * time.Minute)
				if w.creations > tc.attempts || w.creations < 10 {
					t.Errorf("%d attempts in ten minutes", w.creations)
				}
				w.change(func() { w.mutating = nil })
				pass(time.Minute)
				if w.uids != 10 || len(w.podUUIDs()) != 10 || len(w.failed) != 0 {
					t.Errorf("%d pods made, %d there, failed %v", w.uids, len(w.podUUIDs()), w.failed)
				}
			})
		})
	}
}

// A webhook that takes nine seconds for each pod slows dispatch and breaks
// nothing.
func TestSlowWebhook(t *testing.T) {
	w := newWorld()
	w.slow = 9 * time.Second
	for i := range 40 {
		w.schedule(i, 0)
	}
	simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
		pass(2 * time.Minute)
		if w.creations != 40 || len(w.podUUIDs()) != 40 {
			t.Errorf("%d creations, %d pods", w.creations, len(w.podUUIDs()))
		}
	})
}

// Two live dispatchers for one queue: each job has one pod.
func TestSplitBrain(t *testing.T) {
	w := newWorld()
	w.slow = 100 * time.Millisecond
	for i := range 50 {
		w.schedule(i, 0)
	}
	for i := range 5 {
		w.refusals[w.schedule(100+i, 0)] = refusal(400, "no such field")
	}
	simulate(t, w, Limits{JobTTL: time.Hour}, func(t *testing.T, _ *Dispatcher) {
		other := dispatcherIn(w, Limits{JobTTL: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { other.run(ctx) })
		pass(time.Minute)
		cancel()
		running.Wait()
		if w.creations == 55 {
			t.Error("the two never met")
		}
		if w.uids != 50 || len(w.podUUIDs()) != 50 || len(w.failed) != 5 {
			t.Errorf("%d pods made, %d there, %d failed", w.uids, len(w.podUUIDs()), len(w.failed))
		}
	})
}

// A job is listed twice, vanishes and returns.
func TestDuplicatesAndReturningJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		uuid := w.schedule(1, 0)
		d := dispatcherIn(w, Limits{})
		d.Source = twice{w}
		w.slow = time.Second
		for range 3 {
			if _, err := d.poll(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.work.Wait()
			w.change(func() { w.paused = !w.paused })
		}
		if w.creations != 1 || w.pods[jobpod.PodName(uuid)] == nil {
			t.Errorf("%d creations", w.creations)
		}
	})
}

// twice lists each job two times.
type twice struct{ *world }

func (s twice) Scheduled(ctx context.Context, known func(string) bool) ([]jobpod.Job, error) {
	jobs, err := s.world.Scheduled(ctx, known)
	return append(jobs, jobs...), err
}

// Each stage at which a job may be cancelled: its pod is gone soon after, and
// nothing is reported.
func TestCancelAtEachStage(t *testing.T) {
	cases := map[string]struct {
		prepare func(w *world, uuid string)
		// pod says whether there is one when the job is cancelled.
		pod bool
	}{
		"held":    {func(w *world, uuid string) { w.refusals[uuid] = refusal(403, "exceeded quota: q") }, false},
		"pending": {func(w *world, uuid string) { w.troubles[uuid] = &Trouble{Cause: CauseUnschedulable} }, true},
		"pulling": {func(w *world, uuid string) { w.troubles[uuid] = &Trouble{Cause: CausePending} }, true},
		"image that does not come": {func(w *world, uuid string) {
			w.troubles[uuid] = &Trouble{Cause: CauseImagePull, Container: "build", Message: "timeout"}
		}, true},
		"between attempts": {func(w *world, _ string) { w.bypassed = true }, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			uuid := w.schedule(1, 0)
			tc.prepare(w, uuid)
			simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
				pass(20 * time.Second)
				if got := w.pods[jobpod.PodName(uuid)] != nil; got != tc.pod {
					t.Fatalf("a pod before it is cancelled: %v", got)
				}
				w.change(func() { w.states[uuid] = StateCanceled })
				pass(10 * time.Second)
				if len(w.pods) != 0 {
					t.Error("its pod is still there")
				}
				creations := w.creations
				w.change(func() { delete(w.refusals, uuid); w.bypassed = false })
				pass(30 * time.Minute)
				if w.creations != creations || len(w.failed) != 0 {
					t.Errorf("%d more pods, failed %v", w.creations-creations, w.failed)
				}
			})
		})
	}
}

// Somebody deletes a job's pod: before the job began it gets another; a job that
// runs is never given a second pod.
func TestPodDeletedByHand(t *testing.T) {
	for name, started := range map[string]bool{"pending": false, "running": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			uuid := w.schedule(1, 0)
			simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
				pass(5 * time.Second)
				w.change(func() {
					if started {
						w.states[uuid] = "RUNNING"
					}
					delete(w.pods, jobpod.PodName(uuid))
				})
				pass(time.Minute)
				if again := w.uids == 2; again == started || len(w.failed) != 0 {
					t.Errorf("%d pods made, failed %v", w.uids, w.failed)
				}
			})
		})
	}
}

// The pods of a node that is gone stay terminating for ever: they free their
// places soon, and go at last.
func TestPodsOfALostNode(t *testing.T) {
	w := newWorld()
	first, second := w.schedule(1, 9), w.schedule(2, 0)
	simulate(t, w, Limits{MaxInFlight: 1}, func(t *testing.T, _ *Dispatcher) {
		pass(5 * time.Second)
		w.change(func() {
			w.states[first] = "RUNNING"
			pod := w.pods[jobpod.PodName(first)]
			gone := metav1.NewTime(time.Now().Add(30 * time.Second))
			pod.Started, pod.DeletionTimestamp = true, &gone
		})
		pass(80 * time.Second)
		if w.pods[jobpod.PodName(second)] != nil {
			t.Error("the place is free while the pod may still end by itself")
		}
		pass(30 * time.Second)
		if w.pods[jobpod.PodName(second)] == nil {
			t.Error("a pod that never goes keeps its place")
		}
		if len(w.forced) != 0 {
			t.Error("deleted by force too soon")
		}
		pass(10 * time.Minute)
		if len(w.forced) != 1 || w.forced[0] != jobpod.PodName(first) {
			t.Errorf("deleted by force: %v", w.forced)
		}
	})
}

func TestPausedQueue(t *testing.T) {
	w := newWorld()
	running, waiting := w.schedule(1, 0), ""
	simulate(t, w, Limits{}, func(t *testing.T, d *Dispatcher) {
		pass(5 * time.Second)
		w.change(func() { w.paused = true; w.states[running] = "RUNNING"; w.pods[jobpod.PodName(running)].Started = true })
		waiting = w.schedule(2, 0)
		pass(time.Hour)
		if w.creations != 1 || w.pods[jobpod.PodName(running)] == nil || d.problems.any() != "" {
			t.Errorf("%d creations, problem %q", w.creations, d.problems.any())
		}
		w.change(func() { w.paused = false })
		pass(5 * time.Second)
		if w.pods[jobpod.PodName(waiting)] == nil {
			t.Error("the job has no pod once the queue goes on")
		}
	})
}

// An API token that was revoked: readiness tells, requests are few, and a new
// one is taken up.
func TestRevokedToken(t *testing.T) {
	w := newWorld()
	uuid := w.schedule(1, 0)
	w.paused, w.listing = true, &Problem{Kind: "token", Advice: "the token is not valid"}
	simulate(t, w, Limits{}, func(t *testing.T, d *Dispatcher) {
		pass(10 * time.Minute)
		h := &health{problems: d.problems}
		h.leading.Store(true)
		h.synced.Store(true)
		if w.polls > 40 || h.ready() == nil {
			t.Errorf("%d polls in ten minutes, ready: %v", w.polls, h.ready())
		}
		w.change(func() { w.paused, w.listing = false, nil })
		pass(time.Minute)
		if w.pods[jobpod.PodName(uuid)] == nil || h.ready() != nil {
			t.Errorf("not well again: %v", h.ready())
		}
	})
}

// Plugins of any size and shape: the job runs or fails with the size in its
// text, and others run.
func TestGiantPlugins(t *testing.T) {
	keys := func(count int) string {
		var text strings.Builder
		for i := range count {
			fmt.Fprintf(&text, `"k%d":"v",`, i)
		}
		return text.String()
	}
	cases := map[string]struct{ config, words string }{
		"pod spec of 1 MB":      {`{"podSpec":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`, "at most 1048576 fit"},
		"deep pod spec":         {`{"podSpec":` + strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000) + `}`, "levels deep"},
		"large other fields":    {`{"commandParams":"` + strings.Repeat("x", 300<<10) + `"}`, "annotations size"},
		"many annotations":      {`{"metadata":{"annotations":{` + keys(60000) + `"z":"v"}}}`, "annotations size"},
		"many fields in a spec": {`{"podSpec":{` + keys(10000) + `"containers":[]}}`, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			giant, good := w.schedule(1, 9), w.schedule(2, 0)
			job := w.jobs[giant]
			job.Env = slices.Concat(withPlugin(tc.config).Env, []string{"LARGE=" + strings.Repeat("x", 200<<10)})
			w.jobs[giant] = job
			simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
				pass(5 * time.Second)
				if w.pods[jobpod.PodName(good)] == nil {
					t.Error("the other job has no pod")
				}
				failure, failed := w.failed[giant]
				if failed != (tc.words != "") || !strings.Contains(failure.Advice, tc.words) {
					t.Errorf("failed %v: %.300s", failed, failure.Advice)
				}
				if len(failure.Log()) > 20<<10 {
					t.Errorf("a log of %d bytes", len(failure.Log()))
				}
			})
		})
	}
}
