package endtoend

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// The agent and the first container are there, and wait for the second one's image.
func TestCancelBeforeAcquisition(t *testing.T) {
	t.Parallel()
	registry, _, _ := strings.Cut(pulled["shell"], "/")
	b := start(t, strings.ReplaceAll(`
steps:
  - label: held
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: first, image: @SHELL@, command: ["echo not reached"]}
              - {name: second, image: "@REGISTRY@/no-such-image:2", command: ["true"]}
`, "@REGISTRY@", registry))
	j := b.job(t, "held")
	eventually(t, "the checkout container to run", func(ctx context.Context) (bool, error) {
		// The pod may not be there yet.
		running, err := isRunning(ctx, j.pod(), "checkout")
		return running && err == nil, nil
	})
	if state := j.state(t); state != "scheduled" {
		t.Errorf("the job is %s while an image of its pod is missing", state)
	}
	cancelled := time.Now()
	j.cancel(t)
	eventually(t, "the pod to go", func(ctx context.Context) (bool, error) {
		output, err := kube.Run(ctx, "-n", jobNamespace, "get", "pod", j.pod(), "--ignore-not-found", "-o", "name")
		return output == "", err
	})
	t.Logf("the pod was gone %.1f s after the cancellation", time.Since(cancelled).Seconds())
	if record, _ := sim.Oracle().Job(j.uuid); record.Acquisitions != 0 {
		t.Errorf("the job was acquired %d times", record.Acquisitions)
	}
}

// The git server takes the request and never answers.
func TestCancelDuringCheckout(t *testing.T) {
	t.Parallel()
	asked, over := make(chan struct{}, 100), make(chan struct{})
	silent := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-over:
		}
	}))
	silent.Listener.Close()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(nodeIP, "0"))
	if err != nil {
		t.Fatal(err)
	}
	silent.Listener = listener
	silent.Start()
	t.Cleanup(func() {
		close(over)
		silent.Close()
	})
	b := startWith(t, buildOptions{repository: silent.URL + "/silent.git"}, `
steps:
  - label: clones
    command: echo not reached
`)
	j := b.job(t, "clones")
	select {
	case <-asked:
	case <-time.After(patience):
		t.Fatalf("git has not asked for the repository\n%s", b.describe())
	}
	cancelled := time.Now()
	j.cancel(t)
	j.waitCanceled(t)
	j.within(t, cancelled, 15*time.Second)
	waitPodEnded(t, j.pod())
	if log := j.log(t); strings.Contains(log, "\nnot reached") || strings.Contains(log, "never connected") {
		t.Errorf("the log says what did not happen:\n%s", log)
	}
}

func TestCancelInTheSecondOfThree(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: three
    plugins:
      - kubernetes:
          podSpec:
            containers:
              - {name: first, image: @SHELL@, command: ["echo first"]}
              - {name: second, image: @SHELL@, command: ["echo begun; sleep 60"]}
              - {name: third, image: @SHELL@, command: ["echo not reached"]}
`)
	j := b.job(t, "three")
	j.waitBegun(t)
	cancelled := time.Now()
	j.cancel(t)
	j.waitCanceled(t)
	j.within(t, cancelled, 15*time.Second)
	waitPodEnded(t, j.pod())
	if log := j.logs(t, "first"); strings.Contains(log, "\nnot reached") || strings.Contains(log, "never connected") {
		t.Errorf("the log says what did not happen:\n%s", log)
	}
}

// A command that will not end when it is told to is killed in time for the agent to
// report before the pod's grace is over: 10 s before, so here 2 s after it is told.
func TestCommandIgnoresTheSignal(t *testing.T) {
	t.Parallel()
	b := start(t, `
steps:
  - label: stubborn
    plugins:
      - kubernetes:
          podSpec:
            terminationGracePeriodSeconds: 12
            containers:
              - {name: build, image: @SHELL@, command: ["trap '' TERM INT; echo begun; while true; do sleep 1; done"]}
`)
	j := b.job(t, "stubborn")
	j.waitBegun(t)
	cancelled := time.Now()
	j.cancel(t)
	j.waitCanceled(t)
	j.within(t, cancelled, 8*time.Second)
	waitPodEnded(t, j.pod())
}
