package faults

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// A job is cancelled at each stage before its agent has it: its pod, if it has one,
// is gone in ten seconds, it never gets another, and nothing is reported.
func TestCancelledBeforeItRuns(t *testing.T) {
	cases := map[string]struct {
		// prepare brings the job, which has a pod if hasPod, to its stage.
		prepare func(w *world, job string)
		hasPod  bool
	}{
		"undispatched, no room": {func(*world, string) {}, false},
		"held for a quota": {func(w *world, _ string) {
			w.cluster.refuse(creations, answer(403, metav1.StatusReasonForbidden, `pods "x" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1`))
		}, false},
		"pending": {func(*world, string) {}, true},
		"pulling": {func(w *world, job string) { w.cluster.place(job) }, true},
		"image that does not come": {func(w *world, job string) {
			w.cluster.place(job)
			w.cluster.fails(job, "ImagePullBackOff", "i/o timeout")
		}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			simulate(t, state.Options{}, func(t *testing.T, w *world) {
				config := w.config(t)
				config.Limits.MaxInFlight = 2
				defer w.start(t, config)()
				pass(3 * time.Second)
				other := w.schedule(1)[0]
				until(t, "a first pod", 15*time.Second, func() bool { return w.cluster.podOf(other) != nil })
				w.runs(other)
				var job string
				switch {
				case tc.hasPod:
					job = w.schedule(1)[0]
					until(t, "a pod", 15*time.Second, func() bool { return w.cluster.podOf(job) != nil })
					tc.prepare(w, job)
				case name == "undispatched, no room":
					filler := w.schedule(1)[0]
					until(t, "a second pod", 15*time.Second, func() bool { return w.cluster.podOf(filler) != nil })
					w.runs(filler)
					job = w.schedule(1)[0]
				default:
					tc.prepare(w, job)
					job = w.schedule(1)[0]
				}
				pass(20 * time.Second)
				if hasPod := w.cluster.podOf(job) != nil; hasPod != tc.hasPod {
					t.Fatalf("a pod before it is cancelled: %v", hasPod)
				}
				made := w.cluster.made()
				if _, err := w.store.Cancel(job, "test"); err != nil {
					t.Fatal(err)
				}
				until(t, "its pod is gone", 10*time.Second, func() bool { return w.cluster.podOf(job) == nil })
				w.cluster.recover()
				if err := w.store.Finish(other, state.Finish{ExitStatus: "0"}); err != nil {
					t.Fatal(err)
				}
				w.cluster.ends(other, 0)
				pass(30 * time.Minute)
				if w.cluster.made() != made || len(w.failed) > 0 {
					t.Errorf("%d pods were made after it was cancelled, %d jobs failed", w.cluster.made()-made, len(w.failed))
				}
				if w.state(job) != state.Canceled || w.cluster.podOf(other) != nil {
					t.Errorf("the job is %s; no pod is to be left", w.state(job))
				}
			})
		})
	}
}

// A job is cancelled while its agent has it, or while the pod ends after it: that is
// the agent's to see. The dispatcher neither deletes the pod under it nor makes
// another, and the pod goes after its time.
func TestCancelledWhileItRuns(t *testing.T) {
	for name, isFinishing := range map[string]bool{"running": false, "finishing": true} {
		t.Run(name, func(t *testing.T) {
			simulate(t, state.Options{CancelGrace: time.Minute}, func(t *testing.T, w *world) {
				defer w.start(t, w.config(t))()
				pass(3 * time.Second)
				job := w.schedule(1)[0]
				until(t, "a pod", 15*time.Second, func() bool { return w.cluster.podOf(job) != nil })
				w.runs(job)
				pass(time.Minute)
				if !isFinishing {
					if _, err := w.store.Cancel(job, "test"); err != nil {
						t.Fatal(err)
					}
				}
				pass(20 * time.Second)
				if pod := w.cluster.podOf(job); pod == nil || pod.DeletionTimestamp != nil {
					t.Error("the pod is deleted while its agent ends the job")
				}
				if err := w.store.Finish(job, state.Finish{ExitStatus: "-1", SignalReason: "cancel"}); err != nil {
					t.Fatal(err)
				}
				if isFinishing {
					// The job's own end came first.
					if _, err := w.store.Cancel(job, "test"); err == nil {
						t.Fatal("a finished job was cancelled")
					}
				}
				pass(20 * time.Second)
				if w.cluster.podOf(job) == nil {
					t.Error("the pod is deleted while its other containers end")
				}
				w.cluster.ends(job, 1)
				until(t, "the pod is gone after its time", 75*time.Second, func() bool { return w.cluster.podOf(job) == nil })
				pass(10 * time.Minute)
				if w.cluster.made() != 1 || len(w.failed) > 0 {
					t.Errorf("%d pods were made for one job, %d jobs failed", w.cluster.made(), len(w.failed))
				}
			})
		})
	}
}
