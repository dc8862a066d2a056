package dispatcher

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// scrape returns what a registry shows.
func scrape(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	probesAndMetrics(&health{problems: newProblems(slog.Default())}, registry).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	return recorder.Body.String()
}

type budgetOf BudgetState

func (b budgetOf) Budget() BudgetState { return BudgetState(b) }

func TestBudgetMetrics(t *testing.T) {
	cases := map[string]struct {
		state BudgetState
		jobs  int64
		want  []string
	}{
		"unknown": {BudgetState{}, 0, nil},
		"idle":    {BudgetState{Left: 4000, Limit: 5000}, 0, []string{"points_left 4000", "points_limit 5000", "exhaustion_seconds +Inf", "points_per_job 0"}},
		"busy":    {BudgetState{Left: 4000, Limit: 5000, Used: 100, PerSecond: 8}, 50, []string{"points_used_total 100", "points_per_job 2", "exhaustion_seconds 500"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			jobs := &atomic.Int64{}
			jobs.Store(tc.jobs)
			registry.MustRegister(&budgetMetrics{reader: budgetOf(tc.state), jobs: jobs})
			text := scrape(t, registry)
			if tc.want == nil && strings.Contains(text, "points") {
				t.Errorf("told before it is known:\n%s", text)
			}
			for _, want := range tc.want {
				if !strings.Contains(text, "buildkite_dispatcher_graphql_"+want+"\n") {
					t.Errorf("%q is missing from\n%s", want, text)
				}
			}
		})
	}
}

func TestMetricsOfAWorld(t *testing.T) {
	w := newWorld()
	registry := prometheus.NewRegistry()
	w.registry = registry
	running, held := w.schedule(1, 9), w.schedule(2, 8)
	w.schedule(3, 7)
	w.refusals[held] = refusal(403, "exceeded quota: q, requested: cpu=1, used: cpu=2, limited: cpu=2")
	w.inTrouble(4, Trouble{Cause: CauseUnschedulable})
	for i := range 3 {
		w.schedule(10+i, -1)
	}
	simulate(t, w, Limits{MaxInFlight: 3}, func(t *testing.T, _ *Dispatcher) {
		w.change(func() {
			job := w.jobs[running]
			job.ScheduledAt = time.Now().Add(-20 * time.Second)
			w.jobs[running] = job
		})
		pass(3 * time.Second)
		w.change(func() { w.pods[jobpod.PodName(running)].Started = true })
		pass(10 * time.Second)
		text := scrape(t, registry)
		for _, want := range []string{
			`jobs{queue="kubernetes",reason="",state="running"} 1`,
			`jobs{queue="kubernetes",reason="quota",state="held"} 1`,
			`jobs{queue="kubernetes",reason="unschedulable",state="pending"} 1`,
			`jobs{queue="kubernetes",reason="pending",state="pending"} 1`,
			`jobs{queue="kubernetes",reason="capacity",state="waiting"} 3`,
			`pods_in_flight{queue="kubernetes"} 3`,
			`api_errors_total{code="403",operation="create-pod"}`,
			`job_queue_seconds_bucket{queue="kubernetes",le="10"} `,
		} {
			if !strings.Contains(text, "buildkite_dispatcher_"+want) {
				t.Errorf("%q is missing", want)
			}
		}
		if t.Failed() {
			t.Log(text)
		}
	})
}

// Labels have few values, whatever errors say.
func TestKindOf(t *testing.T) {
	for want, err := range map[string]error{
		"403":    fmt.Errorf("create: %w", refusal(403, "x")),
		"error":  errors.New("dial tcp 10.0.0.1:12345: connection refused"),
		"budget": fmt.Errorf("x: %w", &Problem{Kind: "budget"}),
	} {
		if got := kindOf(err); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
	if got := kindOf(refusal(98765, "made up")); got != "error" {
		t.Errorf("a made-up code is a label: %q", got)
	}
}

func TestProfiles(t *testing.T) {
	recorder := httptest.NewRecorder()
	profiles().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/heap?debug=1", http.NoBody))
	if recorder.Code != http.StatusOK || !strings.Contains(recorder.Body.String(), "heap profile") {
		t.Errorf("%d %.200s", recorder.Code, recorder.Body)
	}
	// Not among the probes, whose port is open to the cluster.
	recorder = httptest.NewRecorder()
	probesAndMetrics(&health{}, prometheus.NewRegistry()).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/heap", http.NoBody))
	if recorder.Code != http.StatusNotFound {
		t.Errorf("%d", recorder.Code)
	}
}

func TestPodCachesJoinNamespaces(t *testing.T) {
	first, _ := startCache(t, jobPod("a", testController))
	const otherNamespace = "other-jobs"
	var others []*corev1.Pod
	for _, pod := range []*corev1.Pod{jobPod("b", testController), jobPod("c", "other")} {
		pod.Namespace = otherNamespace
		others = append(others, pod)
	}
	second, _ := startCache(t, others...)
	all := podCaches{first, second}
	if len(all.Own()) != 2 || len(all.ForJob("b")) != 1 || len(all.ForJob("c")) != 1 || len(all.ForJob("d")) != 0 {
		t.Errorf("own %d", len(all.Own()))
	}
	created := NewPodRecord(jobPod("d", testController))
	created.Namespace = otherNamespace
	all.Created(created)
	if len(all.ForJob("d")) != 1 || len(first.ForJob("d")) != 0 {
		t.Error("a created pod counts in the wrong namespace")
	}
}
