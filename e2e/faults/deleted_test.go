package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// Somebody deletes a job's pod. Before its agent has the job, it gets another. Once
// it runs it never does, it never passes, and its build says who took the pod. A
// job that has ended stays what it is.
func TestPodDeletedByHand(t *testing.T) {
	cases := map[string]struct {
		// reach brings the pod to its phase.
		reach func(w *world, job string)
		// another is set if the job is to get a second pod, told if the build is to
		// tell of the first.
		another, told bool
	}{
		"pending":                          {func(*world, string) {}, true, false},
		"pulling":                          {func(w *world, job string) { w.cluster.place(job) }, true, false},
		"containers started, no agent yet": {func(w *world, job string) { w.cluster.starts(job) }, true, false},
		"running":                          {func(w *world, job string) { w.runs(job) }, false, true},
		"finishing": {func(w *world, job string) {
			w.runs(job)
			if err := w.store.Finish(job, state.Finish{ExitStatus: "0"}); err != nil {
				w.t.Fatal(err)
			}
			w.cluster.agentEnds(job)
		}, false, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			simulate(t, state.Options{HeartbeatTimeout: 3 * time.Minute}, func(t *testing.T, w *world) {
				defer w.start(t, w.config(t))()
				pass(3 * time.Second)
				job := w.schedule(1)[0]
				until(t, "a pod", 15*time.Second, func() bool { return w.cluster.podOf(job) != nil })
				tc.reach(w, job)
				pass(10 * time.Second)
				first := w.cluster.podOf(job).UID
				isRunning := w.state(job) == state.Running
				w.cluster.removePod(job)
				pass(10 * time.Second)
				if pod := w.cluster.podOf(job); pod != nil && pod.UID == first {
					// Its node ends it, and with it an agent that says nothing more.
					w.cluster.goes(job)
				}
				until(t, "the first pod is gone", time.Second, func() bool { pod := w.cluster.podOf(job); return pod == nil || pod.UID != first })
				for range 10 {
					pass(time.Minute)
					w.store.Sweep()
				}
				if hasAnother := w.cluster.made() == 2; hasAnother != tc.another || w.cluster.made() > 2 {
					t.Errorf("%d pods were made", w.cluster.made())
				}
				ended, _ := w.store.Job(job)
				if isRunning && (ended.ExitStatus == nil || *ended.ExitStatus == 0 || !ended.State.Ended()) {
					t.Errorf("the job whose pod was deleted is %s with status %v", ended.State, ended.ExitStatus)
				}
				if name == "finishing" && (ended.ExitStatus == nil || *ended.ExitStatus != 0) {
					t.Errorf("a job that had passed has status %v", ended.ExitStatus)
				}
				if len(w.failed) > 0 {
					t.Errorf("failed: %v", w.failed)
				}
				if text := w.annotations(job); strings.Contains(text, "somebody deleted its pod") != tc.told {
					t.Errorf("the build says %q", text)
				}
			})
		})
	}
}

// annotations returns what is written on a job's build.
func (w *world) annotations(job string) string {
	w.t.Helper()
	now, _ := w.store.Job(job)
	all, err := w.store.Annotations(now.BuildUUID)
	if err != nil {
		w.t.Fatal(err)
	}
	var text strings.Builder
	for _, one := range all {
		text.WriteString(one.Body + "\n")
	}
	return text.String()
}
