package faults

import (
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// The clocks of Buildkite, of the API server and of the dispatcher are ten minutes
// apart: every time-out is as long as it is otherwise.
func TestClocksApart(t *testing.T) {
	const apart = 10 * time.Minute
	for name, ahead := range map[string]struct{ buildkite, cluster time.Duration }{
		"no difference":     {0, 0},
		"API server ahead":  {0, apart},
		"API server behind": {0, -apart},
		"Buildkite ahead":   {apart, 0},
		"Buildkite behind":  {-apart, 0},
		"all three":         {-apart, apart},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, state.Options{}, func(t *testing.T, w *world) {
				w.ahead, w.cluster.ahead = ahead.buildkite, ahead.cluster
				config := w.config(t)
				config.Limits.JobTTL = 5 * time.Minute
				defer w.start(t, config)()
				jobs := w.schedule(4)
				done, broken, cancelled, lost := jobs[0], jobs[1], jobs[2], jobs[3]
				until(t, "all have a pod", 10*time.Second, func() bool { return w.cluster.count() == len(jobs) })
				if apart := time.Until(w.cluster.latest()).Round(10 * time.Second); apart != ahead.cluster {
					t.Fatalf("the API server's clock is ahead by %s", apart)
				}
				for _, job := range jobs {
					w.cluster.place(job)
				}

				w.cluster.fails(broken, "InvalidImageName", "invalid reference format")
				pass(25 * time.Second)
				if _, failed := w.failed[broken]; failed {
					t.Error("failed before its patience of 30 s was over")
				}
				until(t, "it fails", 15*time.Second, func() bool { return w.state(broken) == state.Finished })

				if _, err := w.store.Cancel(cancelled, "test"); err != nil {
					t.Fatal(err)
				}
				until(t, "the cancelled job's pod is gone", 10*time.Second, func() bool { return w.cluster.podOf(cancelled) == nil })

				w.runs(done)
				w.runs(lost)
				w.cluster.ends(done, 0)
				pass(4 * time.Minute)
				if w.cluster.podOf(done) == nil {
					t.Error("a finished pod is gone before its time of 5 minutes")
				}
				until(t, "the finished pod is gone", 75*time.Second, func() bool { return w.cluster.podOf(done) == nil })

				// Nobody ends this one: its node is lost.
				w.cluster.removePod(lost)
				pass(10 * time.Minute)
				if w.cluster.podOf(lost) == nil {
					t.Error("deleted by force before its time of 10 minutes after its grace period")
				}
				until(t, "the lost pod is gone", time.Minute, func() bool { return w.cluster.podOf(lost) == nil })

				// A job that comes when the others are long known is listed.
				late := w.schedule(1)[0]
				until(t, "a late job has its pod", 15*time.Second, func() bool { return w.cluster.podOf(late) != nil })
			})
		})
	}
}
