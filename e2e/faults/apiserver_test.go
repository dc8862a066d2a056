package faults

import (
	"net/http"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// answer is a status that is an error.
func answer(code int32, reason metav1.StatusReason, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}}
}

// priorityAndFairness is how the API server refuses what is too much.
func priorityAndFairness() error {
	refusal := apierrors.NewTooManyRequests("too many requests, please try again later", 1)
	refusal.ErrStatus.Code = http.StatusTooManyRequests
	return refusal
}

// The API server is away for two minutes, or answers nothing but errors, while
// 200 finished pods are to be deleted and jobs come: each job has one pod
// afterwards, and the log has a few lines.
func TestAPIServerAway(t *testing.T) {
	cases := map[string]struct {
		err error
		// isOnly is which requests meet it.
		isOnly func(verb, path string) bool
	}{
		"no connection":         {errRefused, everything},
		"priority and fairness": {priorityAndFairness(), everything},
		"errors of its own":     {answer(500, metav1.StatusReasonInternalError, "etcdserver: leader changed"), everything},
		"unavailable":           {answer(503, metav1.StatusReasonServiceUnavailable, "apiserver is shutting down"), everything},
		"writes fail alone":     {answer(500, metav1.StatusReasonInternalError, "etcdserver: request timed out"), isWrite},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			simulate(t, state.Options{}, func(t *testing.T, w *world) {
				defer w.start(t, w.config(t))()
				finished := w.schedule(200)
				until(t, "200 jobs have pods", time.Minute, func() bool { return w.cluster.count() == 200 })
				for _, job := range finished {
					w.runs(job)
					if err := w.store.Finish(job, state.Finish{ExitStatus: "0"}); err != nil {
						t.Fatal(err)
					}
					w.cluster.ends(job, 0)
				}
				pass(55 * time.Second)
				w.cluster.refuse(tc.isOnly, tc.err)
				w.cluster.breakWatches()
				asked := w.cluster.total()
				waiting := w.schedule(20)
				pass(2 * time.Minute)
				if w.cluster.count() != 200 {
					t.Fatalf("%d pods while the API server is away", w.cluster.count())
				}
				if lines := w.said("could not be deleted"); lines < 1 || lines > 3 {
					t.Errorf("%d lines about pods that could not be deleted", lines)
				}
				if w.said("could not be deleted", "pods=200") == 0 {
					t.Error("no line says how many could not be deleted")
				}
				if requests := w.cluster.total() - asked; requests > 1500 {
					t.Errorf("%d requests in two minutes", requests)
				}
				w.cluster.recover()
				until(t, "the finished pods are gone and the others there", 2*time.Minute, func() bool { return w.cluster.count() == 20 })
				for _, job := range waiting {
					if w.cluster.podOf(job) == nil {
						t.Errorf("job %s has no pod", job)
					}
				}
				if made := w.cluster.made(); made != 220 || len(w.failed) > 0 {
					t.Errorf("%d pods were made for 220 jobs, %d jobs failed", made, len(w.failed))
				}
			})
		})
	}
}

// Creations are carried out and their answers lost: no job has a second pod.
func TestLostAnswers(t *testing.T) {
	simulate(t, state.Options{}, func(t *testing.T, w *world) {
		defer w.start(t, w.config(t))()
		pass(3 * time.Second)
		w.cluster.set(func(c *cluster) { c.losesAnswers, c.isStalled = true, true })
		w.schedule(20)
		until(t, "a pod was made", 30*time.Second, func() bool { return w.cluster.count() > 0 })
		pass(30 * time.Second)
		w.cluster.set(func(c *cluster) { c.losesAnswers = false })
		until(t, "each job has a pod", 2*time.Minute, func() bool { return w.cluster.count() == 20 })
		pass(2 * time.Minute)
		w.cluster.set(func(c *cluster) { c.isStalled = false })
		w.cluster.compact()
		w.cluster.breakWatches()
		pass(2 * time.Minute)
		if made := w.cluster.made(); made != 20 || w.cluster.count() != 20 || len(w.failed) > 0 {
			t.Errorf("%d pods were made for 20 jobs, %d are there, %d jobs failed", made, w.cluster.count(), len(w.failed))
		}
		if conflicts := w.cluster.answered(http.StatusConflict); conflicts == 0 {
			t.Error("no job was tried again")
		}
	})
}

// Watches tell nothing for minutes while writes go well, and agents take their jobs:
// no more pods are made than may be in flight.
func TestStaleCache(t *testing.T) {
	simulate(t, state.Options{}, func(t *testing.T, w *world) {
		config := w.config(t)
		config.Limits.MaxInFlight = 5
		defer w.start(t, config)()
		pass(3 * time.Second)
		w.cluster.set(func(c *cluster) { c.isStalled = true })
		jobs := w.schedule(20)
		pass(30 * time.Second)
		for _, job := range jobs {
			if w.cluster.podOf(job) != nil {
				w.runs(job)
			}
		}
		pass(3 * time.Minute)
		if w.cluster.count() != 5 {
			t.Errorf("%d pods, 5 may be in flight", w.cluster.count())
		}
	})
}

// The webhook's certificate is replaced at 50 creations a second, and for ten
// seconds every second creation meets an API server that does not trust it yet: no
// job fails, and each has one pod.
func TestCertificateRotated(t *testing.T) {
	simulate(t, state.Options{}, func(t *testing.T, w *world) {
		defer w.start(t, w.config(t))()
		pass(3 * time.Second)
		untrusted, meetings := answer(500, metav1.StatusReasonInternalError, `Internal error occurred: failed calling webhook "inject.buildkite.com": failed to call webhook: `+
			`Post "https://mutator.buildkite.svc:443/mutate?timeout=5s": tls: failed to verify certificate: x509: certificate signed by unknown authority`), 0
		w.cluster.set(func(c *cluster) {
			c.fault = func(verb, path string) error {
				if !creations(verb, path) {
					return nil
				}
				if meetings++; meetings%2 == 1 {
					return untrusted
				}
				return nil
			}
		})
		for range 10 {
			w.schedule(50)
			pass(time.Second)
		}
		w.cluster.recover()
		until(t, "each job has a pod", 10*time.Minute, func() bool { return w.cluster.count() == 500 })
		if meetings < 3 || w.cluster.made() != 500 || len(w.failed) > 0 {
			t.Errorf("%d creations met the fault, %d pods were made for 500 jobs, %d jobs failed", meetings, w.cluster.made(), len(w.failed))
		}
		if w.said("level=ERROR", "kubernetes/mutator", "x509") == 0 {
			t.Error("the log does not say it")
		}
	})
}

// A watch breaks, the API server has forgotten what happened since, and meanwhile
// pods have gone, one of them created by this very dispatcher: their places are
// free again, and no others.
func TestExpiredWatch(t *testing.T) {
	simulate(t, state.Options{}, func(t *testing.T, w *world) {
		config := w.config(t)
		config.Limits.MaxInFlight = 5
		defer w.start(t, config)()
		first := w.schedule(5)
		until(t, "five pods", 10*time.Second, func() bool { return w.cluster.count() == 5 })
		for _, job := range first {
			w.runs(job)
		}
		w.schedule(10)
		pass(10 * time.Second)
		if w.cluster.count() != 5 {
			t.Fatalf("%d pods, 5 may be in flight", w.cluster.count())
		}
		// Three deletions that no watch tells of; one makes room for a pod that goes
		// before any watch can have told of it.
		w.cluster.set(func(c *cluster) { c.isStalled = true })
		for _, job := range first[:3] {
			w.cluster.vanish(job)
		}
		w.cluster.compact()
		w.cluster.set(func(c *cluster) { c.isStalled = false })
		w.cluster.breakWatches()
		until(t, "five pods again", 2*time.Minute, func() bool { return w.cluster.count() == 5 })
		pass(2 * time.Minute)
		if w.cluster.count() != 5 || w.cluster.answered(http.StatusGone) == 0 {
			t.Errorf("%d pods, 5 may be in flight; %d watches were refused for their age", w.cluster.count(), w.cluster.answered(http.StatusGone))
		}
	})
}

// A pod is created and gone while no watch runs: a relist swallows both, and the
// place it had is free again.
func TestPodThatNoWatchHasSeen(t *testing.T) {
	simulate(t, state.Options{}, func(t *testing.T, w *world) {
		config := w.config(t)
		config.Limits.MaxInFlight = 1
		defer w.start(t, config)()
		pass(3 * time.Second)
		w.cluster.set(func(c *cluster) { c.isStalled = true })
		unseen := w.schedule(1)[0]
		until(t, "a pod", 30*time.Second, func() bool { return w.cluster.count() == 1 })
		if _, err := w.store.Cancel(unseen, "test"); err != nil {
			t.Fatal(err)
		}
		w.cluster.vanish(unseen)
		w.cluster.compact()
		w.cluster.set(func(c *cluster) { c.isStalled = false })
		w.cluster.breakWatches()
		next := w.schedule(1)[0]
		until(t, "the next job has its pod", 3*time.Minute, func() bool { return w.cluster.podOf(next) != nil })
		if w.cluster.answered(http.StatusGone) == 0 {
			t.Error("no watch was refused for its age")
		}
	})
}

// total returns how many requests there were.
func (c *cluster) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := 0
	for _, count := range c.requests {
		total += count
	}
	return total
}

// made returns how many pods were ever created, not counting trials.
func (c *cluster) made() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.creations
}

// set changes the API server's ways.
func (c *cluster) set(how func(c *cluster)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	how(c)
}
