package buildkite

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// agentAPI is as much of the Agent API as failing a job takes.
type agentAPI struct {
	// acquire is the status of the answer to an acquisition.
	acquire int
	// chunks is the status of the answer to a piece of log.
	chunks int

	mu       sync.Mutex
	requests []string
	tags     []string
	log      string
	finish   map[string]any
}

func (a *agentAPI) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	path := strings.TrimPrefix(request.URL.Path, "/v3/")
	a.requests = append(a.requests, request.Method+" "+path)
	switch {
	case path == "register":
		var body struct {
			Tags []string `json:"meta_data"`
		}
		_ = json.NewDecoder(request.Body).Decode(&body)
		a.tags = body.Tags
		if request.Header.Get("Authorization") != "Token agent-token" {
			writer.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(writer, `{"access_token":"access","ping_interval":1,"job_status_interval":1,"heartbeat_interval":1}`)
	case strings.HasSuffix(path, "/acquire"):
		writer.WriteHeader(a.acquire)
		_, _ = io.WriteString(writer, `{"id":"job","chunks_max_size_bytes":1024,"message":"taken"}`)
	case strings.HasSuffix(path, "/chunks"):
		unzipped, err := gzip.NewReader(request.Body)
		if err == nil {
			data, _ := io.ReadAll(unzipped)
			a.log += string(data)
		}
		writer.WriteHeader(max(a.chunks, http.StatusOK))
		_, _ = io.WriteString(writer, `{}`)
	case strings.HasSuffix(path, "/finish"):
		_ = json.NewDecoder(request.Body).Decode(&a.finish)
		_, _ = io.WriteString(writer, `{}`)
	default:
		_, _ = io.WriteString(writer, `{}`)
	}
}

func failerFor(t *testing.T, api *agentAPI, token string) *Failer {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	return &Failer{
		Endpoint: server.URL + "/v3",
		Token:    func() (string, error) { return token, nil },
		Tags:     jobpod.Tags{{Key: "queue", Value: "kubernetes"}, {Key: "docker", Value: "true"}},
	}
}

var testFailure = dispatcher.Failure{ExitStatus: dispatcher.ExitRejected, Advice: "Correct the image.", Original: "no such image"}

func TestFail(t *testing.T) {
	api := &agentAPI{acquire: http.StatusOK}
	err := failerFor(t, api, "agent-token").Fail(t.Context(), jobpod.Job{UUID: "job"}, testFailure)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"POST register", "POST connect", "PUT jobs/job/acquire", "PUT jobs/job/start", "POST jobs/job/chunks", "PUT jobs/job/finish", "POST disconnect"}
	if diff := cmp.Diff(want, api.requests); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"queue=kubernetes", "docker=true"}, api.tags); diff != "" {
		t.Error(diff)
	}
	if api.log != testFailure.Log() {
		t.Errorf("log %q", api.log)
	}
	if api.finish["exit_status"] != "193" || api.finish["signal_reason"] != "stack_error" {
		t.Errorf("finished with %v", api.finish)
	}
}

func TestFailTakenJob(t *testing.T) {
	api := &agentAPI{acquire: http.StatusUnprocessableEntity}
	err := failerFor(t, api, "agent-token").Fail(t.Context(), jobpod.Job{UUID: "job"}, testFailure)
	if !errors.Is(err, dispatcher.ErrJobTaken) {
		t.Errorf("got %v", err)
	}
	if last := api.requests[len(api.requests)-1]; last != "POST disconnect" {
		t.Errorf("the agent stays connected: last request %s", last)
	}
}

// An acquired job must end even if its log cannot be written.
func TestFailWithoutLog(t *testing.T) {
	api := &agentAPI{acquire: http.StatusOK, chunks: http.StatusUnprocessableEntity}
	err := failerFor(t, api, "agent-token").Fail(t.Context(), jobpod.Job{UUID: "job"}, testFailure)
	if err == nil || api.finish == nil {
		t.Errorf("error %v, finished with %v", err, api.finish)
	}
}

func TestFailNeedsToken(t *testing.T) {
	api := &agentAPI{}
	if err := failerFor(t, api, "").Fail(t.Context(), jobpod.Job{UUID: "job"}, testFailure); !errors.Is(err, dispatcher.ErrNoAgentToken) {
		t.Errorf("got %v", err)
	}
	if err := (&Failer{}).Fail(t.Context(), jobpod.Job{UUID: "job"}, testFailure); !errors.Is(err, dispatcher.ErrNoAgentToken) {
		t.Errorf("got %v", err)
	}
	err := failerFor(t, api, "wrong").Fail(t.Context(), jobpod.Job{UUID: "job"}, testFailure)
	if err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("got %v", err)
	}
}
