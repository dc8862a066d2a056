package faults

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// replica is the cluster as a dispatcher sees it whose own clock is another, and
// which may be cut off.
type replica struct {
	*cluster
	// ahead is how far its clock is ahead of the other replica's.
	ahead time.Duration

	mu sync.Mutex
	// isDead is set once it reaches nothing any more. diesAt is when that is to be:
	// "before" or "after" it creates a pod.
	isDead bool
	diesAt string
}

func (r *replica) RoundTrip(request *http.Request) (*http.Response, error) {
	isCreation := creations(strings.ToLower(request.Method), request.URL.Path) && request.URL.Query().Get("dryRun") == ""
	r.mu.Lock()
	isBefore, isAfter := isCreation && r.diesAt == "before", isCreation && r.diesAt == "after"
	r.isDead = r.isDead || isBefore
	isDead := r.isDead
	r.isDead = r.isDead || isAfter
	r.mu.Unlock()
	if isDead {
		return nil, errRefused
	}
	if strings.Contains(request.URL.Path, "/leases") && request.Body != nil {
		// It writes its own time.
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		request = request.Clone(request.Context())
		request.Body = io.NopCloser(bytes.NewBufferString(shift(string(body), r.ahead)))
	}
	response, err := r.cluster.RoundTrip(request)
	if isAfter {
		return nil, errRefused
	}
	return response, err
}

// Two replicas whose clocks are up to ten minutes apart: one leads for as long as it
// lives. It dies before or after it creates a pod, and the other leads within 15
// seconds; each job has one pod.
func TestLeaderDies(t *testing.T) {
	for name, tc := range map[string]struct {
		ahead  time.Duration
		diesAt string
	}{
		"before a creation":               {0, "before"},
		"after a creation":                {0, "after"},
		"the first one's clock is ahead":  {10 * time.Minute, "after"},
		"the first one's clock is behind": {-10 * time.Minute, "after"},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, state.Options{}, func(t *testing.T, w *world) {
				first := &replica{cluster: w.cluster, ahead: tc.ahead}
				done := make(chan error, 1)
				run := func(ctx context.Context, transport http.RoundTripper) {
					config := w.config(t)
					config.Cluster, config.Clock = clientOver(t, transport)
					config.LeaseName, config.LeaseNamespace = "dispatcher", "buildkite"
					done <- dispatcher.Run(ctx, config)
				}
				go run(t.Context(), first)
				pass(3 * time.Second)
				leader := w.cluster.holder()
				ctx, cancel := context.WithCancel(t.Context())
				go run(ctx, &replica{cluster: w.cluster})
				pass(5 * time.Minute)
				if holder := w.cluster.holder(); leader == "" || holder != leader {
					t.Errorf("%q led, now %q does", leader, holder)
				}
				first.mu.Lock()
				first.diesAt = tc.diesAt
				first.mu.Unlock()
				w.schedule(20)
				until(t, "the leader is dead", 30*time.Second, func() bool {
					first.mu.Lock()
					defer first.mu.Unlock()
					return first.isDead
				})
				until(t, "the other leads", 15*time.Second, func() bool { return w.cluster.holder() != leader })
				if err := <-done; !errors.Is(err, dispatcher.ErrLeadershipLost) {
					t.Errorf("the first one ended with %v", err)
				}
				until(t, "each job has its pod", 2*time.Minute, func() bool { return w.cluster.count() == 20 })
				pass(5 * time.Minute)
				if w.cluster.made() != 20 || len(w.failed) > 0 {
					t.Errorf("%d pods were made for 20 jobs, %d jobs failed", w.cluster.made(), len(w.failed))
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// holder returns who leads.
func (c *cluster) holder() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if lease := c.leases["dispatcher"]; lease != nil && lease.Spec.HolderIdentity != nil {
		return *lease.Spec.HolderIdentity
	}
	return ""
}
