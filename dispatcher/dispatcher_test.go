package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// refusal is an answer of the API server.
func refusal(code int32, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Message: message}}
}

func TestEachJobGetsOnePod(t *testing.T) {
	w := newWorld()
	for i := range 40 {
		w.schedule(i, 0)
	}
	simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
		pass(time.Minute)
		if len(w.podUUIDs()) != 40 || w.creations != 40 {
			t.Errorf("%d pods after %d creations, want 40 of each", len(w.podUUIDs()), w.creations)
		}
	})
}

// Of many jobs only a part is listed at once. The next part is there before the last
// pod of the one before is made, or pods would be made for a moment of each interval.
func TestLongQueueIsNeverWaitedFor(t *testing.T) {
	w := newWorld()
	w.window, w.slow = 20, 100*time.Millisecond
	for i := range 200 {
		w.schedule(i, 0)
	}
	simulate(t, w, Limits{PollInterval: 10 * time.Second}, func(t *testing.T, _ *Dispatcher) {
		pass(5*time.Second + w.slow)
		if len(w.podUUIDs()) != 200 {
			t.Errorf("%d pods after the time in which 200 are made, four at once", len(w.podUUIDs()))
		}
		polls := w.polls
		pass(5 * time.Second)
		if polls < 10 || w.polls > polls+1 {
			t.Errorf("%d polls for ten parts, and %d after the last", polls, w.polls-polls)
		}
	})
}

func TestMaxInFlight(t *testing.T) {
	w := newWorld()
	w.slow = 300 * time.Millisecond
	for i := range 10 {
		w.schedule(i, 0)
	}
	simulate(t, w, Limits{MaxInFlight: 2, JobTTL: time.Hour}, func(t *testing.T, _ *Dispatcher) {
		for ended := range 10 {
			pass(3 * time.Second)
			polls := w.polls
			pass(10 * time.Second)
			if ended < 9 && w.polls != polls {
				t.Errorf("%d polls while there was no room", w.polls-polls)
			}
			for _, pod := range w.Own() {
				if !pod.Finished {
					w.end(pod.JobUUID(), 0, true)
					break
				}
			}
		}
		if w.most != 2 || w.creations != 10 {
			t.Errorf("%d pods at once in %d creations, want 2 in 10", w.most, w.creations)
		}
	})
}

func TestPriorityThenAge(t *testing.T) {
	w := newWorld()
	old, urgent, young := w.schedule(1, 0), w.schedule(5, 9), w.schedule(2, 0)
	simulate(t, w, Limits{MaxInFlight: 1, JobTTL: time.Hour}, func(t *testing.T, _ *Dispatcher) {
		for i, want := range []string{urgent, old, young} {
			pass(2 * time.Second)
			got := w.podUUIDs()
			if len(got) != i+1 || w.pods[jobpod.PodName(want)] == nil {
				t.Fatalf("after %d turns pods of %v, want %s among them", i+1, got, want)
			}
			w.end(want, 0, true)
		}
	})
}

func TestJobsForOthersAreLeftAlone(t *testing.T) {
	w := newWorld()
	uuid := w.schedule(1, 0)
	job := w.jobs[uuid]
	job.Rules = append(job.Rules, "os=mac")
	w.jobs[uuid] = job
	simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
		pass(time.Minute)
		if w.creations != 0 {
			t.Error("a job that asks for another agent got a pod")
		}
	})
}

func TestBadJobsFailAndOthersRun(t *testing.T) {
	w := newWorld()
	bad, refused, good := w.schedule(1, 0), w.schedule(2, 0), w.schedule(3, 0)
	job := w.jobs[bad]
	job.Env = []string{"BUILDKITE_PLUGINS={"}
	w.jobs[bad] = job
	w.refusals[refused] = refusal(400, `unknown field "spec.containers[0].imagee"`)
	simulate(t, w, Limits{MaxInFlight: 1}, func(t *testing.T, _ *Dispatcher) {
		pass(5 * time.Second)
		for _, uuid := range []string{bad, refused} {
			if w.failed[uuid].ExitStatus != ExitRejected {
				t.Errorf("job %s failed with %+v", uuid, w.failed[uuid])
			}
		}
		if w.pods[jobpod.PodName(good)] == nil {
			t.Error("the good job has no pod")
		}
		pass(5 * time.Minute)
	})
}

// A held job must neither block others nor be forgotten.
func TestHeldJobWaitsAlone(t *testing.T) {
	w := newWorld()
	held, good := w.schedule(1, 9), w.schedule(2, 0)
	w.refusals[held] = refusal(403, "exceeded quota: q, requested: cpu=1, used: cpu=2, limited: cpu=2")
	simulate(t, w, Limits{MaxInFlight: 1, JobTTL: time.Hour}, func(t *testing.T, _ *Dispatcher) {
		pass(5 * time.Second)
		if w.pods[jobpod.PodName(good)] == nil {
			t.Fatal("the good job has no pod")
		}
		w.end(good, 0, true)
		pass(time.Hour)
		if w.creations < 50 || w.creations > 200 {
			t.Errorf("%d attempts in an hour", w.creations)
		}
		w.change(func() { delete(w.refusals, held) })
		pass(time.Minute)
		if w.pods[jobpod.PodName(held)] == nil || len(w.failed) != 0 {
			t.Errorf("the held job has no pod; failed: %v", w.failed)
		}
	})
}

func TestPatienceEnds(t *testing.T) {
	w := newWorld()
	uuid := w.schedule(1, 0)
	w.refusals[uuid] = refusal(403, `error looking up service account jobs/x: serviceaccount "x" not found`)
	simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
		pass(50 * time.Second)
		if len(w.failed) != 0 {
			t.Error("failed too soon")
		}
		pass(time.Minute)
		if w.failed[uuid].Cause != CauseServiceAccount {
			t.Errorf("failed with %+v", w.failed[uuid])
		}
	})
}

// A job waits for its PodTemplate, and fails by its name if it does not come.
func TestPodTemplate(t *testing.T) {
	w := newWorld()
	early, wrong := w.schedule(1, 0), w.schedule(2, 0)
	for uuid, template := range map[string]string{early: "base", wrong: "bsae"} {
		job := w.jobs[uuid]
		job.Env = withPlugin(`{"podTemplate":"` + template + `"}`).Env
		w.jobs[uuid] = job
	}
	simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
		pass(30 * time.Second)
		if len(w.failed)+w.creations != 0 {
			t.Fatalf("failed %v, created %d pods, without the templates", w.failed, w.creations)
		}
		w.change(func() { w.templates["base"] = json.RawMessage(`{"containers":[{"name":"build","image":"lent"}]}`) })
		pass(2 * time.Minute)
		if w.pods[jobpod.PodName(early)] == nil {
			t.Fatal("the job whose template came has no pod")
		}
		if containers, _, _ := unstructured.NestedSlice(w.submitted.Object, "spec", "containers"); len(containers) != 1 || containers[0].(map[string]any)["image"] != "lent" {
			t.Errorf("its containers are %v", containers)
		}
		if failure := w.failed[wrong]; failure.Cause != CausePodTemplate || !strings.Contains(failure.Advice, "bsae") {
			t.Errorf("the other job failed with %+v", failure)
		}
	})
}

func TestMutatorMissing(t *testing.T) {
	w := newWorld()
	w.bypassed = true
	for i := range 20 {
		w.schedule(i, 0)
	}
	simulate(t, w, Limits{MaxInFlight: 5}, func(t *testing.T, d *Dispatcher) {
		pass(10 * time.Minute)
		if len(w.podUUIDs()) != 0 {
			t.Errorf("%d gated pods are left", len(w.podUUIDs()))
		}
		if d.problems.any() != "cluster of queue kubernetes/"+CauseMutatorMissing {
			t.Errorf("problem %q", d.problems.any())
		}
		if w.creations > 60 {
			t.Errorf("%d attempts in ten minutes: probes should be few", w.creations)
		}
		w.change(func() { w.bypassed = false })
		pass(time.Minute)
		if len(w.podUUIDs()) != 5 || d.problems.any() != "" || len(w.failed) != 0 {
			t.Errorf("%d pods, problem %q, %d failed", len(w.podUUIDs()), d.problems.any(), len(w.failed))
		}
	})
}

// One job whose pod alone upsets a webhook must not stop the queue.
func TestProbesTakeTurns(t *testing.T) {
	w := newWorld()
	for i := range 3 {
		w.refusals[w.schedule(i, 9)] = refusal(500, `failed calling webhook "other.example.com"`)
	}
	good := w.schedule(3, 0)
	simulate(t, w, Limits{MaxInFlight: 1}, func(t *testing.T, _ *Dispatcher) {
		pass(time.Minute)
		if w.pods[jobpod.PodName(good)] == nil {
			t.Error("the good job has no pod")
		}
	})
}

func TestSourceProblems(t *testing.T) {
	w := newWorld()
	uuid := w.schedule(1, 0)
	// Jobs that came with an error are dispatched all the same.
	w.listing = &Problem{Kind: "graphql-errors", Advice: "incomplete"}
	simulate(t, w, Limits{}, func(t *testing.T, d *Dispatcher) {
		pass(time.Second)
		if w.pods[jobpod.PodName(uuid)] == nil || d.problems.any() != "source/graphql-errors" {
			t.Errorf("pods %v, problem %q", w.podUUIDs(), d.problems.any())
		}
		before := w.polls
		pass(10 * time.Minute)
		if polls := w.polls - before; polls < 15 || polls > 40 {
			t.Errorf("%d polls in ten minutes, want about twenty", polls)
		}
		w.change(func() { w.listing = nil })
		pass(time.Minute)
		if d.problems.any() != "" {
			t.Errorf("problem %q is not over", d.problems.any())
		}
	})
}

func TestExistingPods(t *testing.T) {
	deleting := metav1.NewTime(at(0))
	cases := map[string]struct {
		pod       PodRecord
		creations int
	}{
		"live and ours":          {PodRecord{}, 0},
		"taken elsewhere":        {PodRecord{Finished: true, AgentExit: 27}, 0},
		"terminating":            {PodRecord{Finished: true, ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &deleting}}, 0},
		"ended without a run":    {PodRecord{Finished: true}, 1},
		"made by hand, live":     {PodRecord{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}, 0},
		"made by hand, finished": {PodRecord{Finished: true, ObjectMeta: metav1.ObjectMeta{Name: "mine"}}, 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			uuid := w.schedule(1, 0)
			pod := tc.pod
			pod.UID, pod.Namespace, pod.Injected, pod.Started = "old", "jobs", true, true
			if pod.Name == "" {
				pod.Name, pod.controllerID = jobpod.PodName(uuid), testController
			}
			pod.job = uuid
			pod.CreationTimestamp, pod.FinishedAt = metav1.NewTime(at(0)), at(0)
			w.pods[pod.Name] = &pod
			simulate(t, w, Limits{JobTTL: 1000000 * time.Hour}, func(t *testing.T, _ *Dispatcher) {
				pass(time.Minute)
				if w.creations != tc.creations {
					t.Errorf("%d creations, want %d", w.creations, tc.creations)
				}
			})
		})
	}
}

func TestThreePodsWithoutARun(t *testing.T) {
	w := newWorld()
	uuid := w.schedule(1, 0)
	simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
		for range 3 {
			pass(20 * time.Second)
			if w.pods[jobpod.PodName(uuid)] == nil {
				t.Fatal("no pod")
			}
			w.end(uuid, 1, false)
		}
		pass(20 * time.Second)
		if w.failed[uuid].ExitStatus != ExitNeverRan || w.creations != 3 {
			t.Errorf("failed %+v after %d creations", w.failed[uuid], w.creations)
		}
	})
}

// The list may be older than the pod's end: the job ran, so its pod stays.
func TestStaleListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		uuid := w.schedule(1, 0)
		d := dispatcherIn(w, Limits{})
		stale := w.jobs[uuid]
		d.start(t.Context(), d.queues[0], stale)
		d.work.Wait()
		w.end(uuid, 0, true)
		d.start(t.Context(), d.queues[0], stale)
		d.work.Wait()
		if w.creations != 1 || w.pods[jobpod.PodName(uuid)] == nil {
			t.Errorf("%d creations, pods %v", w.creations, w.podUUIDs())
		}
	})
}

func TestFailuresThatCannotBeReported(t *testing.T) {
	cases := map[string]struct {
		err      error
		attempts string
	}{
		"no token":             {ErrNoAgentToken, CauseFailureUnreported},
		"Agent API is down":    {errors.New("connection refused"), CauseFailureUnreported},
		"the job is cancelled": {fmt.Errorf("acquire: %w", ErrJobTaken), outcomeTaken},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			uuid := w.schedule(1, 0)
			job := w.jobs[uuid]
			job.Env = []string{"BUILDKITE_PLUGINS={"}
			w.jobs[uuid] = job
			w.failing = tc.err
			simulate(t, w, Limits{}, func(t *testing.T, d *Dispatcher) {
				pass(20 * time.Second)
				if got := d.holds.jobs[uuid].cause; got != tc.attempts {
					t.Errorf("held for %q, want %q", got, tc.attempts)
				}
				w.change(func() { w.failing = nil })
				pass(11 * time.Minute)
				if w.failed[uuid].ExitStatus != ExitRejected {
					t.Errorf("not failed later: %+v", w.failed[uuid])
				}
			})
		})
	}
}

func TestStopFinishesWhatIsInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.slow = 10 * time.Second
		w.schedule(1, 0)
		ctx, cancel := context.WithCancel(t.Context())
		d := dispatcherIn(w, Limits{})
		done := make(chan struct{})
		go func() { defer close(done); d.run(ctx) }()
		pass(time.Second)
		cancel()
		<-done
		if len(w.podUUIDs()) != 1 {
			t.Error("the pod in hand was not created")
		}
	})
}
