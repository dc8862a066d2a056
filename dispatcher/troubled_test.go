package dispatcher

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// inTrouble schedules a job whose pods come into trouble.
func (w *world) inTrouble(number int, trouble Trouble) string {
	uuid := w.schedule(number, 0)
	w.troubles[uuid] = &trouble
	return uuid
}

func TestTroubleFailsTheJob(t *testing.T) {
	cases := map[string]struct {
		trouble Trouble
		events  PodEvents
		// early is when the job must not have failed, late when it must have.
		early, late time.Duration
		status      int
		words       []string
	}{
		"image that does not exist": {
			Trouble{Cause: CauseImageMissing, Container: "build", Image: "nowhere/none:1", Permanent: true, Message: "manifest unknown"}, nil,
			25 * time.Second, 45 * time.Second, ExitImage, []string{"nowhere/none:1", "build", "manifest unknown"},
		},
		"registry that does not answer": {
			Trouble{Cause: CauseImagePull, Container: "build", Image: "slow/one:1", Message: "i/o timeout"}, nil,
			14 * time.Minute, 16 * time.Minute, ExitImagePull, []string{"slow/one:1", "i/o timeout"},
		},
		"no node": {
			Trouble{Cause: CauseUnschedulable, Message: "0/3 nodes are available: 3 Insufficient cpu."}, nil,
			14 * time.Minute, 16 * time.Minute, ExitPending, []string{"0/3 nodes are available: 3 Insufficient cpu."},
		},
		"long pull": {
			Trouble{Cause: CausePending}, PodEvents{{Type: "Normal", Reason: "Pulling", Message: "Pulling image large"}},
			59 * time.Minute, 61 * time.Minute, ExitPending, []string{"Pulling image large"},
		},
		"volume that does not come": {
			Trouble{Cause: CausePending}, PodEvents{{Type: "Normal", Reason: "Pulling"}, {Type: "Warning", Reason: "FailedMount", Message: "no such claim"}},
			14 * time.Minute, 16 * time.Minute, ExitPending, []string{"Warning FailedMount: no such claim"},
		},
		"sidecar that ends": {
			Trouble{Cause: CauseServiceFailed, Container: "database", Permanent: true, Message: "container database ended with exit status 1"}, nil,
			25 * time.Second, 45 * time.Second, ExitBefore, []string{"database", "the last line of database"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			uuid := w.inTrouble(1, tc.trouble)
			w.events[jobpod.PodName(uuid)] = tc.events
			simulate(t, w, Limits{JobTTL: time.Hour}, func(t *testing.T, _ *Dispatcher) {
				pass(tc.early)
				if len(w.failed) != 0 || w.creations != 1 {
					t.Fatalf("after %s %v failed, %d pods", tc.early, w.failed, w.creations)
				}
				pass(tc.late - tc.early)
				failure := w.failed[uuid]
				if failure.ExitStatus != tc.status || failure.Cause != tc.trouble.Cause {
					t.Fatalf("after %s failed with %+v", tc.late, failure)
				}
				for _, word := range tc.words {
					if !strings.Contains(failure.Log(), word) {
						t.Errorf("the log lacks %q:\n%s", word, failure.Log())
					}
				}
				if len(w.pods) != 0 {
					t.Errorf("its pod is still there: %v", w.podUUIDs())
				}
				if strings.Contains(failure.Log(), "%!") {
					t.Errorf("a hole in the log:\n%s", failure.Log())
				}
			})
		})
	}
}

// A pod that only began late is not failed behind its back: the agent that has
// acquired the job keeps it.
func TestTroubleLosesToTheAgent(t *testing.T) {
	w := newWorld()
	uuid := w.inTrouble(1, Trouble{Cause: CauseImageMissing, Container: "build", Permanent: true})
	simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
		pass(10 * time.Second)
		w.change(func() { w.states[uuid] = "RUNNING" })
		pass(10 * time.Minute)
		if w.pods[jobpod.PodName(uuid)] == nil || len(w.failed) != 0 {
			t.Errorf("the pod of a running job is gone; failed %v", w.failed)
		}
	})
}

// A leader was killed between failing the job and deleting its pod.
func TestTroubleLeftBehind(t *testing.T) {
	w := newWorld()
	uuid := w.inTrouble(1, Trouble{Cause: CauseImageMissing, Container: "build", Permanent: true})
	simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
		pass(10 * time.Second)
		w.change(func() { w.states[uuid] = StateFinished })
		pass(3 * time.Minute)
		if w.pods[jobpod.PodName(uuid)] != nil {
			t.Error("the pod of a job that was failed is still there")
		}
	})
}

// What the mutator added cannot start: no job fails, one pod at a time tries,
// and all goes on by itself once it is mended.
func TestPlatformTroubleHoldsTheQueue(t *testing.T) {
	w := newWorld()
	trouble := Trouble{Cause: CauseImageMissing, Container: "agent", Image: "agent:none", Platform: true, Permanent: true}
	for number := range 20 {
		w.inTrouble(number, trouble)
	}
	simulate(t, w, Limits{MaxInFlight: 10}, func(t *testing.T, d *Dispatcher) {
		pass(40 * time.Second)
		creations := w.creations
		pass(10 * time.Minute)
		if len(w.failed) != 0 {
			t.Fatalf("jobs failed for the platform's fault: %v", w.failed)
		}
		if tried := w.creations - creations; tried < 5 || tried > 30 {
			t.Errorf("%d probes in ten minutes", tried)
		}
		if d.problems.any() == "" {
			t.Error("the dispatcher says that nothing is wrong")
		}
		w.change(func() { clear(w.troubles) })
		pass(2 * time.Minute)
		w.change(func() {
			for _, pod := range w.pods {
				pod.Trouble, pod.Started = nil, true
			}
		})
		pass(time.Minute)
		if got := len(w.podUUIDs()); got != 10 {
			t.Errorf("%d pods once it is mended, want 10", got)
		}
		if problem := d.problems.any(); problem != "" {
			t.Errorf("the problem stays: %s", problem)
		}
	})
}

// Three jobs that fail alike within a minute stop the burning of more.
func TestSurgePausesTheQueue(t *testing.T) {
	w := newWorld()
	for number := range 40 {
		w.inTrouble(number, Trouble{Cause: CauseImageForbidden, Container: "build", Image: "registry.test/a", Permanent: true})
	}
	simulate(t, w, Limits{MaxInFlight: 4}, func(t *testing.T, _ *Dispatcher) {
		pass(45 * time.Second)
		if len(w.failed) != 4 {
			t.Fatalf("%d jobs failed in the first wave, want 4", len(w.failed))
		}
		pass(2 * time.Minute)
		// Without the pause, four jobs would fail every 35 seconds.
		if more := len(w.failed) - 4; more == 0 || more > 5 {
			t.Errorf("%d more jobs failed in two minutes", more)
		}
	})
}

// An init container that failed fails the same way in every pod.
func TestInitFailureIsNotTriedAgain(t *testing.T) {
	w := newWorld()
	uuid := w.schedule(1, 0)
	simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
		pass(5 * time.Second)
		w.change(func() {
			w.pods[jobpod.PodName(uuid)].Trouble = &Trouble{Cause: CauseInitFailed, Container: "prepare", Permanent: true, Message: "exit status 4"}
		})
		w.end(uuid, 0, false)
		pass(5 * time.Minute)
		if failure := w.failed[uuid]; failure.ExitStatus != ExitBefore || !strings.Contains(failure.Log(), "the last line of prepare") || w.creations != 1 {
			t.Errorf("after %d pods failed with %+v", w.creations, failure)
		}
	})
}

// A node that goes away takes a pod with it, and the job gets another.
func TestLostNodeIsTriedAgain(t *testing.T) {
	w := newWorld()
	uuid := w.schedule(1, 0)
	simulate(t, w, Limits{}, func(t *testing.T, _ *Dispatcher) {
		for range maxEnded {
			pass(2 * time.Minute)
			w.change(func() {
				if pod := w.pods[jobpod.PodName(uuid)]; pod != nil {
					pod.Trouble = &Trouble{Cause: CauseNodeLost, Platform: true}
				}
			})
			w.end(uuid, 0, false)
		}
		pass(5 * time.Minute)
		if failure := w.failed[uuid]; failure.ExitStatus != ExitNode || w.creations != maxEnded {
			t.Errorf("after %d pods failed with %+v", w.creations, failure)
		}
	})
}

func TestPulling(t *testing.T) {
	event := func(kind, reason string) corev1.Event { return corev1.Event{Type: kind, Reason: reason} }
	cases := map[string]struct {
		events PodEvents
		want   bool
	}{
		"none":       {nil, false},
		"pulling":    {PodEvents{event("Normal", "Scheduled"), event("Normal", "Pulling")}, true},
		"pulled":     {PodEvents{event("Normal", "Pulling"), event("Normal", "Pulled")}, false},
		"failed":     {PodEvents{event("Normal", "Pulling"), event("Warning", "Failed")}, false},
		"next image": {PodEvents{event("Normal", "Pulling"), event("Normal", "Pulled"), event("Normal", "Started"), event("Normal", "Pulling")}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.events.Pulling(); got != tc.want {
				t.Errorf("pulling: %v, want %v", got, tc.want)
			}
		})
	}
}
