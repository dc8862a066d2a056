package dispatcher

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The cluster is asked before the first job comes: what is wrong is told apart,
// shows in readiness, and goes by itself.
func TestPreflight(t *testing.T) {
	cases := map[string]struct {
		answer   error
		bypassed bool
		// kind is the problem's, advice what the log says.
		kind, advice string
	}{
		"all is well":     {nil, false, "", "the cluster takes pods"},
		"mutator silent":  {nil, true, CauseMutatorMissing, "install it, and label the namespace"},
		"mutator down":    {refusal(500, `Internal error occurred: failed calling webhook "mutator.buildkite.com"`), false, CauseMutator, "mutator's pods, Service and certificate"},
		"quota used up":   {refusal(403, "exceeded quota: q, requested: pods=1, used: pods=9, limited: pods=9"), false, "", "quota_is_used_up=true"},
		"quota too small": {refusal(403, "exceeded quota: q, requested: memory=2Gi, used: memory=0, limited: memory=1Gi"), false, CauseQuotaTooSmall, "smaller than one pod"},
		"policy":          {refusal(403, "ValidatingAdmissionPolicy 'acme' with binding 'acme' denied request"), false, CausePolicy, "a policy of the cluster"},
		"pod security":    {refusal(403, `violates PodSecurity "restricted:latest"`), false, CausePodSecurity, "podSecurity: restricted"},
		"role":            {refusal(403, `User "x" cannot create resource "pods"`), false, CausePermission, "apply its role"},
		"namespace":       {refusal(404, `namespaces "jobs" not found`), false, CauseNamespace, "create it"},
		"no cluster":      {errors.New("connection refused"), false, CauseUnreachable, "cannot reach the API server"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.trying, w.bypassed = tc.answer, tc.bypassed
				d := dispatcherIn(w, Limits{})
				var log bytes.Buffer
				d.log = slog.New(slog.NewTextHandler(&log, nil))
				d.problems = newProblems(d.log)
				ctx, cancel := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { d.preflight(ctx) })
				pass(5 * time.Minute)
				want := ""
				if tc.kind != "" {
					want = "preflight of queue kubernetes/" + tc.kind
				}
				if got := d.problems.any(); got != want {
					t.Errorf("problem %q, want %q", got, want)
				}
				if !strings.Contains(log.String(), tc.advice) {
					t.Errorf("the log lacks %q:\n%s", tc.advice, log.String())
				}
				w.change(func() { w.trying, w.bypassed = nil, false })
				pass(time.Minute)
				if got := d.problems.any(); got != "" {
					t.Errorf("problem %q is not over", got)
				}
				trials := w.trials
				pass(time.Hour)
				if w.trials != trials || w.creations != 0 {
					t.Errorf("%d more trials once all is well, %d pods created", w.trials-trials, w.creations)
				}
				cancel()
				running.Wait()
			})
		})
	}
}

// An installation brings up the mutator beside the dispatcher, a little later.
func TestPreflightOfAMutatorThatIsJustStarting(t *testing.T) {
	w := newWorld()
	w.trying = refusal(500, `failed calling webhook "mutator.buildkite.com"`)
	simulate(t, w, Limits{}, func(t *testing.T, d *Dispatcher) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var running sync.WaitGroup
		running.Go(func() { d.preflight(ctx) })
		pass(3 * time.Second)
		if d.problems.any() == "" {
			t.Error("no problem although no mutator answers")
		}
		w.change(func() { w.trying = nil })
		pass(4 * time.Second)
		if got := d.problems.any(); got != "" {
			t.Errorf("problem %q is not over", got)
		}
		cancel()
		running.Wait()
	})
}

// A pod that was created says more than a trial that fails.
func TestPreflightYieldsToRealPods(t *testing.T) {
	w := newWorld()
	w.schedule(1, 0)
	w.trying = refusal(403, `violates PodSecurity "restricted:latest"`)
	simulate(t, w, Limits{}, func(t *testing.T, d *Dispatcher) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var running sync.WaitGroup
		running.Go(func() { d.preflight(ctx) })
		pass(time.Minute)
		if d.problems.any() != "" || len(w.podUUIDs()) != 1 {
			t.Errorf("problem %q, %d pods", d.problems.any(), len(w.podUUIDs()))
		}
		cancel()
		running.Wait()
	})
}
