package faults

import (
	"net/http"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// The API token is revoked while a job runs and others come: the log says so, few
// requests are made, and the new token is taken up without a restart.
func TestRevokedToken(t *testing.T) {
	simulate(t, state.Options{}, func(t *testing.T, w *world) {
		defer w.start(t, w.config(t))()
		running := w.schedule(1)[0]
		until(t, "the job has its pod", 5*time.Second, func() bool { return w.cluster.podOf(running) != nil })
		w.runs(running)
		if err := w.api.SetToken(firstToken, true); err != nil {
			t.Fatal(err)
		}
		before := w.queries()
		waiting := w.schedule(1)[0]
		pass(10 * time.Minute)
		if w.statuses[http.StatusUnauthorized] < 10 {
			t.Fatalf("answers by status: %v: no token was refused", w.statuses)
		}
		if asked := w.queries() - before; asked > 40 {
			t.Errorf("%d requests with a revoked token in ten minutes", asked)
		}
		if lines := w.said("level=ERROR", "source/token-refused", "set --buildkite-token"); lines < 1 || lines > 11 {
			t.Errorf("%d lines in ten minutes say what to do", lines)
		}
		if w.cluster.podOf(running) == nil || w.cluster.podOf(waiting) != nil {
			t.Error("a running job's pod is gone, or a job has a pod that nobody may have listed")
		}
		if err := w.api.SetToken("the-second-token", false); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		w.token = "the-second-token"
		w.mu.Unlock()
		until(t, "the next job has its pod", time.Minute, func() bool { return w.cluster.podOf(waiting) != nil })
		if w.said("problem is over", "source/token-refused") != 1 {
			t.Error("the log does not say that it is over")
		}
		if w.said(firstToken)+w.said("the-second-token") > 0 {
			t.Error("the log has a token in it")
		}
	})
}
