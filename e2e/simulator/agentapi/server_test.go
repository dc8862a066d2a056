package agentapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

type fixture struct {
	t       *testing.T
	store   *state.Store
	handler http.Handler
	// access and job are the tokens of an agent and of the job it runs.
	access, job string
	jobUUID     string
	buildUUID   string
}

// newFixture has an agent acquire and start the first of two jobs.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, store: state.New(state.Options{})}
	f.handler = New(f.store, Options{PublicURL: "http://simulator.test", Secrets: map[string]string{"K": "v"}})
	parsed, err := pipeline.Read([]byte(`[{command: a, key: ka}, {command: b}]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	build, err := f.store.CreateBuild(state.NewBuild{Pipeline: parsed})
	if err != nil {
		t.Fatal(err)
	}
	f.jobUUID, f.buildUUID = build.Jobs[0].UUID, build.UUID
	f.access = f.register()
	f.job = f.text(f.send("PUT", "jobs/"+f.jobUUID+"/acquire", f.access, ""), "token")
	f.ok(f.send("PUT", "jobs/"+f.jobUUID+"/start", f.job, `{"started_at": "now"}`))
	return f
}

func (f *fixture) register() string {
	f.t.Helper()
	return f.text(f.send("POST", "register", "agent-token", `{"name": "n", "meta_data": ["queue=default"]}`), "access_token")
}

func (f *fixture) send(method, path, token, body string) *httptest.ResponseRecorder {
	f.t.Helper()
	request := httptest.NewRequest(method, "/v3/"+path, strings.NewReader(body))
	request.Header.Set("Authorization", "Token "+token)
	request.Header.Set("X-Buildkite-Lock-Acquire-Job", "1")
	recorder := httptest.NewRecorder()
	f.handler.ServeHTTP(recorder, request)
	return recorder
}

func (f *fixture) ok(recorder *httptest.ResponseRecorder) {
	f.t.Helper()
	if recorder.Code != http.StatusOK {
		f.t.Fatalf("status %d: %s", recorder.Code, recorder.Body)
	}
}

func (f *fixture) text(recorder *httptest.ResponseRecorder, key string) string {
	f.t.Helper()
	f.ok(recorder)
	var body map[string]any
	if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil {
		f.t.Fatal(err)
	}
	text, _ := body[key].(string)
	return text
}

// TestTokens sends every kind of token to every kind of endpoint.
func TestTokens(t *testing.T) {
	const yes, no = http.StatusOK, http.StatusUnauthorized
	f := newFixture(t)
	stranger := f.register()
	job := "jobs/" + f.jobUUID
	cases := map[string]struct {
		method, path, body                                string
		registration, access, job, anotherAgents, unknown int
	}{
		"register":  {"POST", "register", `{}`, yes, no, no, no, no},
		"token":     {"GET", "token", "", yes, no, no, no, no},
		"ping":      {"GET", "ping", "", no, yes, no, yes, no},
		"heartbeat": {"POST", "heartbeat", `{}`, no, yes, no, yes, no},
		"connect":   {"POST", "connect", "", no, yes, no, yes, no},
		"acquire":   {"PUT", job + "/acquire", "", no, http.StatusUnprocessableEntity, no, http.StatusUnprocessableEntity, no},
		"accept":    {"PUT", job + "/accept", "", no, http.StatusUnprocessableEntity, no, http.StatusUnprocessableEntity, no},
		// The access token of the job's own agent is as good as the job's.
		"state":        {"GET", job, "", no, yes, yes, no, no},
		"meta-data":    {"POST", job + "/data/set", `{"key": "k", "value": "v"}`, no, yes, yes, no, no},
		"annotation":   {"POST", job + "/annotations", `{"body": "b"}`, no, yes, yes, no, no},
		"another job":  {"GET", "jobs/none", "", no, http.StatusNotFound, http.StatusNotFound, http.StatusNotFound, no},
		"step":         {"POST", "steps/ka/export", `{"attribute": "key", "build_id": "` + f.buildUUID + `"}`, no, yes, yes, yes, no},
		"finish":       {"PUT", job + "/finish", `{"exit_status": "x"}`, no, http.StatusUnprocessableEntity, http.StatusUnprocessableEntity, no, no},
		"no such path": {"GET", "nothing/here", "", 404, 404, 404, 404, 404},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := map[string]int{}
			for kind, token := range map[string]string{
				"registration": "agent-token", "access": f.access, "job": f.job, "another agent's": stranger, "unknown": "nonsense",
			} {
				got[kind] = f.send(tc.method, tc.path, token, tc.body).Code
			}
			want := map[string]int{"registration": tc.registration, "access": tc.access, "job": tc.job, "another agent's": tc.anotherAgents, "unknown": tc.unknown}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
}

// TestIntervals: an agent told an interval of zero panics.
func TestIntervals(t *testing.T) {
	f := newFixture(t)
	recorder := f.send("POST", "register", "agent-token", `{"name": "n"}`)
	var body map[string]any
	if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"ping_interval", "job_status_interval", "heartbeat_interval"} {
		if value, _ := body[key].(float64); value < 1 {
			t.Errorf("%s is %v", key, body[key])
		}
	}
}

func TestAcquireNeedsLockHeader(t *testing.T) {
	f := newFixture(t)
	request := httptest.NewRequest(http.MethodPut, "/v3/jobs/"+f.jobUUID+"/acquire", nil)
	request.Header.Set("Authorization", "Token "+f.access)
	recorder := httptest.NewRecorder()
	f.handler.ServeHTTP(recorder, request)
	if recorder.Code != http.StatusUnprocessableEntity || !strings.Contains(recorder.Body.String(), "X-Buildkite-Lock-Acquire-Job") {
		t.Errorf("status %d: %s", recorder.Code, recorder.Body)
	}
}

func (f *fixture) chunk(offset, size int, data []byte, encoding string) int {
	f.t.Helper()
	target := "/v3/jobs/" + f.jobUUID + "/chunks?sequence=1&offset=" + strconv.Itoa(offset) + "&size=" + strconv.Itoa(size)
	request := httptest.NewRequest(http.MethodPost, target, bytes.NewReader(data))
	request.Header.Set("Authorization", "Token "+f.job)
	request.Header.Set("Content-Encoding", encoding)
	recorder := httptest.NewRecorder()
	f.handler.ServeHTTP(recorder, request)
	return recorder.Code
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	if _, err := writer.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestChunks(t *testing.T) {
	f := newFixture(t)
	bomb := strings.Repeat("\x00", 10<<20)
	cases := map[string]struct {
		data     []byte
		encoding string
		size     int
		want     int
	}{
		"not gzip":        {[]byte("plain"), "gzip", 5, http.StatusBadRequest},
		"wrong size":      {zipped(t, "abc"), "gzip", 4, http.StatusUnprocessableEntity},
		"bomb":            {zipped(t, bomb), "gzip", len(bomb), http.StatusUnprocessableEntity},
		"cut off":         {zipped(t, "abcdefgh")[:15], "gzip", 8, http.StatusBadRequest},
		"without zipping": {[]byte("late"), "", 4, http.StatusOK},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := f.chunk(6, tc.size, tc.data, tc.encoding); got != tc.want {
				t.Errorf("status %d, want %d", got, tc.want)
			}
		})
	}
	for _, offset := range []int{3, 0} { // out of order
		if got := f.chunk(offset, 3, zipped(t, "abcdef"[offset:offset+3]), "gzip"); got != http.StatusOK {
			t.Fatalf("status %d", got)
		}
	}
	log, _ := f.store.Log(f.jobUUID)
	if diff := cmp.Diff("abcdeflate", string(log)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestPipelineUpload(t *testing.T) {
	f := newFixture(t)
	body := `{"uuid": "u", "pipeline": {"steps": [{"command": "new"}]}}`
	for range 2 { // the agent may send it again
		recorder := f.send("POST", "jobs/"+f.jobUUID+"/pipelines?async=true", f.job, body)
		if recorder.Code != http.StatusAccepted {
			t.Fatalf("status %d: %s", recorder.Code, recorder.Body)
		}
		if diff := cmp.Diff("http://simulator.test/v3/jobs/"+f.jobUUID+"/pipelines/u", recorder.Header().Get("Location")); diff != "" {
			t.Errorf("location (-want +got):\n%s", diff)
		}
	}
	if state := f.text(f.send("GET", "jobs/"+f.jobUUID+"/pipelines/u", f.job, ""), "state"); state != "applied" {
		t.Errorf("state %q", state)
	}
	f.send("POST", "jobs/"+f.jobUUID+"/pipelines?async=true", f.job, `{"uuid": "text", "pipeline": "steps:\n- command: {"}`)
	if state := f.text(f.send("GET", "jobs/"+f.jobUUID+"/pipelines/text", f.job, ""), "state"); state != "rejected" {
		t.Errorf("state %q", state)
	}
	build, _ := f.store.Build(f.buildUUID)
	if len(build.Jobs) != 3 {
		t.Errorf("the build has %d jobs", len(build.Jobs))
	}
}

func TestBadBodies(t *testing.T) {
	f := newFixture(t)
	job := "jobs/" + f.jobUUID
	cases := map[string]struct {
		method, path, body string
		want               int
	}{
		"empty":           {"PUT", job + "/finish", "", http.StatusUnprocessableEntity},
		"not JSON":        {"PUT", job + "/finish", "{", http.StatusBadRequest},
		"number for text": {"PUT", job + "/finish", `{"exit_status": 0}`, http.StatusBadRequest},
		"too large":       {"POST", job + "/data/set", `{"key": "` + strings.Repeat("x", maxBodyBytes) + `"}`, http.StatusRequestEntityTooLarge},
		"null artifact":   {"POST", job + "/artifacts", `{"artifacts": [null]}`, http.StatusUnprocessableEntity},
		"update":          {"PUT", job, `{"colour": "red"}`, http.StatusUnprocessableEntity},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			recorder := f.send(tc.method, tc.path, f.job, tc.body)
			if recorder.Code != tc.want || !strings.Contains(recorder.Body.String(), `"message":`) {
				t.Errorf("status %d, want %d: %s", recorder.Code, tc.want, recorder.Body)
			}
		})
	}
}

func TestWaitingJobIsLocked(t *testing.T) {
	f := newFixture(t)
	parsed, err := pipeline.Read([]byte(`[{command: a}, wait, {command: b}]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	build, err := f.store.CreateBuild(state.NewBuild{Pipeline: parsed})
	if err != nil {
		t.Fatal(err)
	}
	recorder := f.send("PUT", "jobs/"+build.Jobs[2].UUID+"/acquire", f.register(), "")
	if recorder.Code != http.StatusLocked || recorder.Header().Get("Retry-After") != "2" {
		t.Errorf("status %d, headers %v", recorder.Code, recorder.Header())
	}
}
