package faults

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/fault"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// Buildkite answers in the wrong way for ten minutes, while jobs wait, are pending
// and run: no pod is deleted, no job fails or has two pods, requests are few, and
// all goes on soon afterwards.
func TestBuildkiteFaults(t *testing.T) {
	cases := map[string]struct {
		fault fault.Fault
		// isBlind is set if jobs cannot be listed meanwhile; says is in the log then.
		isBlind bool
		says    string
	}{
		"429, Retry-After":     {fault.Fault{Kind: fault.Status, Status: 429, Headers: map[string]string{"Retry-After": "20"}}, true, "source/rate-limited"},
		"429, text alone":      {fault.Fault{Kind: fault.Status, Status: 429, Body: `{"errors":[{"message":"Please try again in 20 seconds."}]}`}, true, "source/rate-limited"},
		"429, nothing":         {fault.Fault{Kind: fault.Status, Status: 429}, true, "source/rate-limited"},
		"500":                  {fault.Fault{Kind: fault.Status, Status: 500}, true, "source/server"},
		"502, HTML":            {fault.Fault{Kind: fault.Status, Status: 502, Body: "<html>bad gateway</html>"}, true, "source/server"},
		"504":                  {fault.Fault{Kind: fault.Status, Status: 504}, true, "source/server"},
		"no answer":            {fault.Fault{Kind: fault.Hang}, true, "source/too-slow"},
		"connection reset":     {fault.Fault{Kind: fault.Reset}, true, "source/"},
		"garbage":              {fault.Fault{Kind: fault.Garbage}, true, "source/not-graphql"},
		"HTML, 200":            {fault.Fault{Kind: fault.Garbage, Body: "<html>log in</html>"}, true, "source/not-graphql"},
		"bomb":                 {fault.Fault{Kind: fault.Bomb}, true, "source/"},
		"broken off":           {fault.Fault{Kind: fault.Truncate}, true, "source/"},
		"half the answer":      {fault.Fault{Kind: fault.Cut}, true, "source/not-graphql"},
		"errors, no data":      {fault.Fault{Kind: fault.Errors}, true, "source/graphql-errors"},
		"every second node":    {fault.Fault{Kind: fault.Partial}, true, "source/graphql-errors"},
		"edges twice":          {fault.Fault{Kind: fault.DuplicateEdges}, false, ""},
		"edges that vanish":    {fault.Fault{Kind: fault.Vanish}, false, ""},
		"states of the future": {fault.Fault{Kind: fault.UnknownEnum}, false, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			simulate(t, state.Options{}, func(t *testing.T, w *world) {
				config := w.config(t)
				config.Limits.Patience.Pending = time.Hour
				defer w.start(t, config)()
				pass(3 * time.Second)
				before := w.schedule(2)
				running, pending := before[0], before[1]
				until(t, "two pods", 15*time.Second, func() bool { return w.cluster.count() == 2 })
				w.runs(running)
				w.cluster.place(pending)
				one := tc.fault
				one.API = fault.GraphQL
				added, err := w.script.Add([]fault.Fault{one})
				if err != nil {
					t.Fatal(err)
				}
				asked := w.queries()
				waiting := w.schedule(3)
				pass(10 * time.Minute)
				if hits := w.script.List()[0].Hits; hits < 3 {
					t.Fatalf("it happened %d times", hits)
				}
				if w.cluster.podOf(running) == nil || w.cluster.podOf(pending) == nil {
					t.Error("the pod of a job that nobody cancelled is gone")
				}
				if requests := w.queries() - asked; tc.isBlind && requests > 400 {
					t.Errorf("%d requests in ten minutes", requests)
				}
				if tc.says != "" && w.said("msg=problem", tc.says) == 0 {
					t.Error("the log does not say what is wrong")
				}
				w.script.Remove(added[0].ID)

				until(t, "each job has its pod within two of the longest pauses", 61*time.Second, func() bool { return w.cluster.count() == 5 })

				pass(time.Minute)
				for _, job := range waiting {
					if w.cluster.podOf(job) == nil {
						t.Errorf("job %s has no pod", job)
					}
				}
				if w.cluster.made() != 5 || len(w.failed) > 0 {
					t.Errorf("%d pods were made for 5 jobs, %d failed", w.cluster.made(), len(w.failed))
				}
			})
		})
	}
}

// A job's state is one that nobody knows yet: it is no reason to delete its pod, and
// the log says so once.
func TestUnknownState(t *testing.T) {
	simulate(t, state.Options{}, func(t *testing.T, w *world) {
		defer w.start(t, w.config(t))()
		job := w.schedule(1)[0]
		until(t, "a pod", 15*time.Second, func() bool { return w.cluster.podOf(job) != nil })
		added, err := w.script.Add([]fault.Fault{{API: fault.GraphQL, Operation: "jobStates", Kind: fault.UnknownEnum}})
		if err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Minute)
		if hits := w.script.List()[0].Hits; hits < 10 {
			t.Fatalf("%d answers had the state in them", hits)
		}
		if w.cluster.podOf(job) == nil || w.cluster.made() != 1 || len(w.failed) > 0 {
			t.Error("a state that nobody knows has cost the job its pod")
		}
		if lines := w.said("level=WARN", "does not know"); lines != 1 {
			t.Errorf("%d lines about it", lines)
		}
		w.script.Remove(added[0].ID)
		if _, err := w.store.Cancel(job, "test"); err != nil {
			t.Fatal(err)
		}
		until(t, "its pod is gone", 10*time.Second, func() bool { return w.cluster.podOf(job) == nil })
	})
}

// edit is a fault that gives a field a value in the answers to an operation.
func edit(operation, field, value string) fault.Fault {
	return fault.Fault{API: fault.GraphQL, Operation: operation, Kind: fault.Set, Field: field, Value: json.RawMessage(value)}
}

// A queue is paused, deleted, or moved to another cluster: from the next poll on no
// job gets a pod, those that run end as they would, and the log says it of what is
// an operator's to mend.
func TestQueueThatStops(t *testing.T) {
	cases := map[string]struct {
		stop func(w *world) error
		// says is in the log; a pause needs nobody's help.
		says string
	}{
		"paused": {func(w *world) error {
			_, err := w.store.PauseQueue("", queue, true, "test")
			return err
		}, ""},
		"deleted": {func(w *world) error {
			_, err := w.script.Add([]fault.Fault{edit("queueStates", "queue0", "null"), edit("clusterQueues", "edges", "[]")})
			return err
		}, "source/unknown-queue"},
		"moved to another cluster": {func(w *world) error {
			other := `[{"node":{"id":"another","key":"another","dispatchPaused":false}}]`
			_, err := w.script.Add([]fault.Fault{edit("queueStates", "queue0", "null"), edit("clusterQueues", "edges", other)})
			return err
		}, "source/unknown-queue"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			// Whenever it was that the dispatcher has last asked about the queue.
			for later := range 10 {
				simulate(t, state.Options{}, func(t *testing.T, w *world) {
					defer w.start(t, w.config(t))()
					pass(3 * time.Second)
					first := w.schedule(3)
					until(t, "three pods", 15*time.Second, func() bool { return w.cluster.count() == 3 })
					for _, job := range first {
						w.runs(job)
					}
					pass(20*time.Second + time.Duration(later)*time.Second)
					if err := tc.stop(w); err != nil {
						t.Fatal(err)
					}
					// A poll may be on its way.
					pass(time.Second)
					w.schedule(20)
					pass(10 * time.Second)
					for _, job := range first {
						if err := w.store.Finish(job, state.Finish{ExitStatus: "0"}); err != nil {
							t.Fatal(err)
						}
						w.cluster.ends(job, 0)
					}
					pass(10 * time.Minute)
					if made := w.cluster.made(); made != 3 {
						t.Errorf("%d pods were made after the queue had stopped", made-3)
					}
					for _, job := range first {
						if w.state(job) != state.Finished || w.cluster.podOf(job) != nil {
							t.Errorf("job %s is %s; its pod is to be gone", job, w.state(job))
						}
					}
					if tc.says != "" && w.said("msg=problem", tc.says) == 0 {
						t.Error("the log does not say what is wrong")
					}
					w.script.Remove("")
					if _, err := w.store.PauseQueue("", queue, false, ""); err != nil {
						t.Fatal(err)
					}
					until(t, "all pods once it is back", 2*time.Minute, func() bool { return w.cluster.count() == 20 })
					if len(w.failed) > 0 {
						t.Errorf("%d jobs failed", len(w.failed))
					}
				})
			}
		})
	}
}

// An organization without clusters: its jobs run, one of another queue does not, a
// cancelled one's pod goes, and one that cannot start fails.
func TestUnclustered(t *testing.T) {
	simulate(t, state.Options{Unclustered: true}, func(t *testing.T, w *world) {
		defer w.start(t, w.config(t))()
		pass(3 * time.Second)
		jobs := w.schedule(3)
		elsewhere := w.scheduleIn("elsewhere")
		until(t, "three pods", 15*time.Second, func() bool { return w.cluster.count() == 3 })
		for _, job := range jobs {
			w.cluster.place(job)
		}
		w.runs(jobs[0])
		if _, err := w.store.Cancel(jobs[1], "test"); err != nil {
			t.Fatal(err)
		}
		w.cluster.fails(jobs[2], "InvalidImageName", "invalid reference format")
		until(t, "the cancelled job's pod is gone", 10*time.Second, func() bool { return w.cluster.podOf(jobs[1]) == nil })
		until(t, "the broken job has failed", time.Minute, func() bool { return w.state(jobs[2]) == state.Finished })
		if w.cluster.podOf(jobs[0]) == nil || w.cluster.podOf(elsewhere) != nil {
			t.Error("a running job has lost its pod, or another queue's job has one")
		}
		if w.asked("clusterQueues")+w.asked("queueStates") > 0 {
			t.Error("queues were asked for of a cluster that there is not")
		}
	})
}
