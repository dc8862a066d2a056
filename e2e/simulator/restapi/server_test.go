package restapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/graphqlapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

type fixture struct {
	*testing.T
	handler http.Handler
	build   state.Build
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	store := state.New(state.Options{})
	parsed, err := pipeline.Read([]byte(`[{command: a}]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	build, err := store.CreateBuild(state.NewBuild{Pipeline: parsed})
	if err != nil {
		t.Fatal(err)
	}
	graphql, err := graphqlapi.New(store, []string{"good"}, graphqlapi.PublishedLimits())
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{T: t, handler: New(store, graphql), build: build}
}

func (f *fixture) send(method, path, token, body string) *httptest.ResponseRecorder {
	f.Helper()
	request := httptest.NewRequest(method, "/v2/organizations/"+path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+token)
	recorder := httptest.NewRecorder()
	f.handler.ServeHTTP(recorder, request)
	return recorder
}

// contexts lists the annotations of a scope.
func (f *fixture) contexts(path string) string {
	f.Helper()
	var list []annotation
	if err := json.Unmarshal(f.send("GET", path, "good", "").Body.Bytes(), &list); err != nil {
		f.Fatal(err)
	}
	var texts []string
	for _, a := range list {
		texts = append(texts, a.Context+"/"+a.Scope+"/"+a.Style+"/"+strings.TrimSpace(a.BodyHTML))
	}
	return strings.Join(texts, " ")
}

// TestAnnotations makes, changes and removes one of each scope.
func TestAnnotations(t *testing.T) {
	f := newFixture(t)
	job := f.build.Jobs[0].UUID
	scopes := map[string]string{
		"example/pipelines/pipeline/builds/1/annotations":                    "build",
		"example/pipelines/pipeline/builds/" + f.build.UUID + "/annotations": "build",
		"example/pipelines/pipeline/builds/1/jobs/" + job + "/annotations":   "job",
		"example/jobs/" + job + "/annotations":                               "job",
	}
	for path, scope := range scopes {
		t.Run(path, func(t *testing.T) {
			made := f.send("POST", path, "good", `{"body": "<one>", "style": "info", "context": "c", "priority": 5}`)
			var got annotation
			if err := json.Unmarshal(made.Body.Bytes(), &got); err != nil || made.Code != http.StatusCreated || got.Priority != 5 {
				t.Fatalf("status %d, %v: %s", made.Code, err, made.Body)
			}
			if again := f.send("POST", path, "good", `{"body": " two", "context": "c", "append": true}`); again.Code != http.StatusCreated {
				t.Fatalf("status %d: %s", again.Code, again.Body)
			}
			if diff := cmp.Diff("c/"+scope+"/info/<p>&lt;one&gt; two</p>", f.contexts(path)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			removed := f.send("DELETE", path+"/"+got.ID, "good", "")
			if removed.Code != http.StatusNoContent || removed.Body.Len() > 0 {
				t.Errorf("status %d: %s", removed.Code, removed.Body)
			}
			if twice := f.send("DELETE", path+"/"+got.ID, "good", ""); twice.Code != http.StatusNotFound {
				t.Errorf("removed twice: status %d", twice.Code)
			}
			if left := f.contexts(path); left != "" {
				t.Errorf("left are %s", left)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	f := newFixture(t)
	const annotations = "example/pipelines/pipeline/builds/1/annotations"
	cases := map[string]struct {
		method, path, token, body string
		status                    int
	}{
		"token":        {"GET", annotations, "bad", "", http.StatusUnauthorized},
		"organization": {"GET", strings.Replace(annotations, "example", "other", 1), "good", "", http.StatusNotFound},
		"build":        {"GET", strings.Replace(annotations, "/1/", "/2/", 1), "good", "", http.StatusNotFound},
		"job":          {"POST", "example/jobs/none/annotations", "good", `{"body": "b"}`, http.StatusNotFound},
		"no body":      {"POST", annotations, "good", `{}`, http.StatusUnprocessableEntity},
		"style":        {"POST", annotations, "good", `{"body": "b", "style": "pink"}`, http.StatusUnprocessableEntity},
		"not JSON":     {"POST", annotations, "good", `{`, http.StatusBadRequest},
		"no such path": {"GET", "example/pipelines", "good", "", http.StatusNotFound},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			recorder := f.send(tc.method, tc.path, tc.token, tc.body)
			if recorder.Code != tc.status || !strings.Contains(recorder.Body.String(), `{"message":"`) {
				t.Errorf("status %d, want %d: %s", recorder.Code, tc.status, recorder.Body)
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	f := newFixture(t)
	got := f.send("GET", "example/rate_limit", "good", "").Body.String()
	for _, want := range []string{`{"scopes":{"graphql":{`, `"limit":20000`, `"current":0`, `"reset":300`, `"enforced":true`} {
		if !strings.Contains(got, want) {
			t.Errorf("want %s in %s", want, got)
		}
	}
}
