package buildkite

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

func unknown(string) bool { return false }

func uuidsOf(jobs []jobpod.Job) []string {
	var uuids []string
	for _, job := range jobs {
		uuids = append(uuids, job.UUID)
	}
	return uuids
}

func kindOf(err error) string {
	if problem, isProblem := errors.AsType[*dispatcher.Problem](err); isProblem {
		return problem.Kind
	}
	if err != nil {
		return "no Problem: " + err.Error()
	}
	return ""
}

func TestScheduledPagesBackwards(t *testing.T) {
	server, url := serve(t, listing("c1", true, "b", "a"), listing("c2", false, "d", "c"))
	jobs, err := clientFor(url, nil).Scheduled(t.Context(), func(uuid string) bool { return uuid == "a" })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b", "c", "d"}, uuidsOf(jobs)); diff != "" {
		t.Error(diff)
	}
	want := jobpod.Job{
		UUID: "b", URL: "https://x/b", Env: []string{"A=b"}, Rules: []string{"queue=kubernetes"},
		Priority: 3, ScheduledAt: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	if diff := cmp.Diff(want, jobs[0]); diff != "" {
		t.Error(diff)
	}
	first, second := server.requests[0], server.requests[1]
	wantVariables := map[string]any{"organization": "acme", "rules": []any{"queue=kubernetes"}, "clustered": false, "last": float64(pageSize)}
	if diff := cmp.Diff(wantVariables, first.Variables); diff != "" {
		t.Error(diff)
	}
	if first.token != "Bearer secret" || second.Variables["before"] != "c1" {
		t.Errorf("token %q, then before %v", first.token, second.Variables["before"])
	}
}

func TestScheduledInCluster(t *testing.T) {
	queues := func(paused string) reply {
		return reply{body: `{"data":{"organization":{"cluster":{"queues":{"edges":[{"node":{"key":"other","dispatchPaused":true}},
			{"node":{"key":"kubernetes","dispatchPaused":` + paused + `}}],"pageInfo":{"hasNextPage":false}}}}}}`}
	}
	inCluster := func(s *Settings) { s.ClusterUUID = "dc840dd5-6a72-545b-917d-ae66e9bb7a50" }
	t.Run("dispatches", func(t *testing.T) {
		server, url := serve(t, queues("false"), listing("", false, "a"))
		client := clientFor(url, inCluster)
		for range 2 {
			if jobs, err := client.Scheduled(t.Context(), unknown); err != nil || len(jobs) != 1 {
				t.Fatalf("jobs %v, error %v", jobs, err)
			}
		}
		if len(server.requests) != 3 {
			t.Errorf("%d requests: the paused state should be remembered for a while", len(server.requests))
		}
		id := "Q2x1c3Rlci0tLWRjODQwZGQ1LTZhNzItNTQ1Yi05MTdkLWFlNjZlOWJiN2E1MA=="
		if got := server.requests[1].Variables; got["cluster"] != id || got["clustered"] != nil {
			t.Errorf("listed with %v", got)
		}
	})
	t.Run("paused", func(t *testing.T) {
		server, url := serve(t, queues("true"))
		if jobs, err := clientFor(url, inCluster).Scheduled(t.Context(), unknown); err != nil || len(jobs) != 0 || len(server.requests) != 1 {
			t.Errorf("jobs %v, error %v, %d requests", jobs, err, len(server.requests))
		}
	})
	t.Run("no such queue", func(t *testing.T) {
		_, url := serve(t, reply{body: `{"data":{"organization":{"cluster":{"queues":{"edges":[],"pageInfo":{"hasNextPage":false}}}}}}`})
		if _, err := clientFor(url, inCluster).Scheduled(t.Context(), unknown); kindOf(err) != "unknown-queue" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no such cluster", func(t *testing.T) {
		_, url := serve(t, reply{body: `{"data":{"organization":{"cluster":null}}}`})
		if _, err := clientFor(url, inCluster).Scheduled(t.Context(), unknown); kindOf(err) != "unknown-cluster" {
			t.Errorf("got %v", err)
		}
	})
}

func TestProblems(t *testing.T) {
	cases := map[string]struct {
		reply reply
		kind  string
		says  string
		jobs  int
	}{
		"unknown organization": {reply{body: `{"data":{"organization":null}}`}, "unknown-organization", "--org", 0},
		"bad token":            {reply{status: 401, body: `{"errors":[{"message":"Authentication required"}]}`}, "token-refused", "--buildkite-token", 0},
		"wrong path":           {reply{status: 404, body: `<html>`}, "wrong-endpoint", "--graphql-endpoint", 0},
		"rate limit":           {reply{status: 429, body: `{"errors":[{"message":"wait 20 seconds"}]}`}, "rate-limited", "wait 20 seconds", 0},
		"proxy's page":         {reply{status: 502, body: strings.Repeat("<html>", 1000)}, "server", "502", 0},
		"not JSON":             {reply{body: `<html>`}, "unreachable", "--graphql-endpoint", 0},
		"errors alone":         {reply{body: `{"errors":[{"message":"too complex"}]}`}, "graphql-errors", "too complex", 0},
		"half an answer": {reply{body: `{"errors":[{"message":"timed out","path":["organization","jobs","edges",0]}],"data":{"organization":{"jobs":{"edges":[null,
			{"node":null},{"node":{"__typename":"JobTypeCommand","uuid":"a","priority":{"number":null}}}],"pageInfo":{"hasPreviousPage":false}}}}}`}, "graphql-errors", "timed out", 1},
		"no jobs": {reply{body: `{"data":{"organization":{"jobs":null}}}`}, "no-listing", "", 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, url := serve(t, tc.reply)
			jobs, err := clientFor(url, nil).Scheduled(t.Context(), unknown)
			if kindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.says) || len(err.Error()) > 1000 {
				t.Errorf("got %v, want a %s that says %q", err, tc.kind, tc.says)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error has the token in it: %v", err)
			}
			if len(jobs) != tc.jobs {
				t.Errorf("%d jobs, want %d", len(jobs), tc.jobs)
			}
		})
	}
	t.Run("unreachable", func(t *testing.T) {
		if _, err := clientFor("http://127.0.0.1:1", nil).Scheduled(t.Context(), unknown); kindOf(err) != "unreachable" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("token file", func(t *testing.T) {
		_, url := serve(t, listing("", false))
		client := clientFor(url, func(s *Settings) {
			s.Token = func() (string, error) { return "", &dispatcher.Problem{Kind: "token-file", Err: os.ErrNotExist} }
		})
		if _, err := client.Scheduled(t.Context(), unknown); kindOf(err) != "token-file" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("listing without end", func(t *testing.T) {
		server, url := serve(t, listing("same", true, "a"))
		if _, err := clientFor(url, nil).Scheduled(t.Context(), unknown); kindOf(err) != "stuck-page" || len(server.requests) > 3 {
			t.Errorf("got %v after %d requests", err, len(server.requests))
		}
	})
}

func TestListRules(t *testing.T) {
	cases := map[string][]string{
		"queue=linux,docker": {"queue=linux"},
		"linux,xcode=8":      {"queue=default", "linux=true", "linux", "xcode=8"},
	}
	for text, want := range cases {
		tags, err := jobpod.ParseTags(strings.Split(text, ","))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, clientFor("", func(s *Settings) { s.Tags = tags }).listRules()); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestStates(t *testing.T) {
	server, url := serve(t,
		reply{body: `{"data":{"job0":{"uuid":"a","state":"SCHEDULED"},"job1":null,"job2":{}},"errors":[{"message":"job1 timed out"}]}`},
		reply{body: `{"data":{"job0":{"uuid":"z","state":"CANCELED"}}}`})
	states, err := clientFor(url, nil).States(t.Context(), []string{"a", "b", "c"})
	if diff := cmp.Diff(map[string]dispatcher.JobState{"a": "SCHEDULED"}, states); diff != "" {
		t.Error(diff)
	}
	if kindOf(err) != "graphql-errors" {
		t.Errorf("got %v", err)
	}
	many := slices.Repeat([]string{"x"}, stateBatch+1)
	if _, err := clientFor(url, nil).States(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	if len(server.requests) != 3 {
		t.Errorf("%d requests, want the second call in two batches", len(server.requests))
	}
}

// Buildkite's limits: https://buildkite.com/docs/apis/graphql/graphql-resource-limits
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget()
		answer := func(status int, header map[string]string) *http.Response {
			response := &http.Response{StatusCode: status, Header: http.Header{}}
			for name, value := range header {
				response.Header.Set(name, value)
			}
			return response
		}
		waits := func() time.Duration {
			begun := time.Now()
			for b.wait(t.Context()) != nil {
				time.Sleep(time.Second)
			}
			return time.Since(begun).Round(time.Second)
		}
		b.observe(answer(200, nil))
		if got := waits(); got != 0 {
			t.Errorf("waited %s although nothing was charged", got)
		}
		begun := time.Now()
		for range 100 {
			waits()
			b.observe(answer(200, map[string]string{"RateLimit-Complexity-Actual": "204", "RateLimit-User-Limit": "5000"}))
		}
		perWindow := 100 * 204 / (time.Since(begun).Seconds() / budgetWindow.Seconds())
		if perWindow > 4400 || perWindow < 3600 {
			t.Errorf("%.0f points per window, want about 4000", perWindow)
		}
		time.Sleep(time.Hour)
		b.observe(answer(200, map[string]string{"RateLimit-Limit": "20000", "RateLimit-Remaining": "3999", "RateLimit-Reset": "120"}))
		if err := b.wait(t.Context()); kindOf(err) != "budget" {
			t.Errorf("the organization's points are used up: got %v", err)
		}
		if got := waits(); got != 120*time.Second {
			t.Errorf("waited %s for the window's end", got)
		}
		b.observe(answer(429, map[string]string{"Retry-After": "20"}))
		if got := waits(); got != 20*time.Second {
			t.Errorf("waited %s after a 429", got)
		}
	})
}

func TestOperationsFitTheSchema(t *testing.T) {
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: Schema})
	if err != nil {
		t.Fatal(err)
	}
	operations, err := os.ReadFile("operations.graphql")
	if err != nil {
		t.Fatal(err)
	}
	for name, query := range map[string]string{"operations.graphql": string(operations), "states": statesQuery(3)} {
		if _, errs := gqlparser.LoadQueryWithRules(schema, query, rules.NewDefaultRules()); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
		}
	}
}
