package dispatcher

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// cluster answers what a dispatcher asks of an API server. It has no pods but
// those that are created, and its mutator leaves a receipt.
type cluster struct {
	mu       sync.Mutex
	requests []string
}

func (c *cluster) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	kind := request.Method
	if strings.HasSuffix(request.URL.Path, "/events") {
		kind = "EVENT"
	}
	query := request.URL.Query()
	switch {
	case query.Get("watch") != "":
		kind = "WATCH"
	case query.Get("dryRun") != "":
		kind = "TRY"
	}
	c.mu.Lock()
	c.requests = append(c.requests, kind+" "+request.URL.Path)
	c.mu.Unlock()
	writer.Header().Set("Content-Type", "application/json")
	switch kind {
	case "WATCH":
		_, _ = io.WriteString(writer, `{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"5","annotations":{"k8s.io/initial-events-end":"true"}}}}`)
		writer.(http.Flusher).Flush()
		<-request.Context().Done()
	case "EVENT":
		_, _ = io.WriteString(writer, `{"kind":"Event","apiVersion":"v1","metadata":{"name":"e"}}`)
	case http.MethodPost, "TRY":
		var pod map[string]any
		if err := json.NewDecoder(request.Body).Decode(&pod); err != nil {
			panic(err)
		}
		metadata := pod["metadata"].(map[string]any)
		metadata["uid"], metadata["resourceVersion"], metadata["creationTimestamp"] = "u", "7", time.Now().UTC().Format(time.RFC3339)
		metadata["annotations"].(map[string]any)["buildkite.com/injected"] = "{}"
		delete(pod["spec"].(map[string]any), "schedulingGates")
		writer.WriteHeader(http.StatusCreated)
		if err := json.NewEncoder(writer).Encode(pod); err != nil {
			panic(err)
		}
	default:
		_, _ = io.WriteString(writer, `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[]}`)
	}
}

// has reports whether a request was made.
func (c *cluster) has(request string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.requests, request)
}

// The whole program but for Buildkite: two queues in two namespaces, probes,
// metrics, profiles, and an end that is asked for.
func TestRun(t *testing.T) {
	served := &cluster{}
	server := httptest.NewServer(served)
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	twoQueues(w)
	w.queues[1].Pods.Namespace = "large-jobs"
	w.scheduleFor("large", 1, 0)
	probes, profiler := freeAddress(t), freeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	t.Cleanup(cancel)
	go func() {
		done <- Run(ctx, Config{
			Source: budgetedWorld{w}, States: w, Annotator: w, Cluster: client, Queues: w.queues,
			Limits:      Limits{Concurrency: 2, PollInterval: 10 * time.Millisecond, JobTTL: time.Hour, AnnotateAfter: time.Minute, Patience: DefaultPatience},
			HTTPAddress: probes, ProfilerAddress: profiler, Log: slog.New(slog.DiscardHandler),
		})
	}()
	eventually(t, "ready", func() bool { return get(t, "http://"+probes+"/readyz") == "ok\n" })
	for _, want := range []string{
		// The other queue may have its pod before it is tried.
		"TRY /api/v1/namespaces/jobs/pods",
		"WATCH /api/v1/namespaces/jobs/pods", "WATCH /api/v1/namespaces/large-jobs/pods",
		"POST /api/v1/namespaces/large-jobs/pods",
	} {
		eventually(t, want, func() bool { return served.has(want) })
	}
	if served.has("POST /api/v1/namespaces/jobs/pods") {
		t.Error("a pod in the wrong namespace")
	}
	var text string
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(text)
		}
	})
	eventually(t, "metrics", func() bool {
		text = get(t, "http://"+probes+"/metrics")
		return strings.Contains(text, `pods_in_flight{queue="large"} 1`) && strings.Contains(text, "graphql_points_left 40\n")
	})
	if !strings.Contains(get(t, "http://"+profiler+"/debug/pprof/goroutine?debug=1"), "goroutine profile") {
		t.Error("no profile")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type budgetedWorld struct{ *world }

func (budgetedWorld) Budget() BudgetState { return BudgetState{Left: 40, Limit: 50} }

// freeAddress returns one that nothing listens on just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// get returns a page, or why there is none.
func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Sprint(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(body)
}
