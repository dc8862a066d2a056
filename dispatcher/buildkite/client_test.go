package buildkite

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
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

func TestScheduledPagesBackwards(t *testing.T) {
	server, url := serve(t, listed(4, "b", "a"), listed(4, "d", "c"))
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
	wantVariables := map[string]any{"organization": "acme", "rules": []any{"queue=kubernetes"}, "clustered": false, "last": float64(mostPerPage)}
	if diff := cmp.Diff(wantVariables, first.Variables); diff != "" {
		t.Error(diff)
	}
	if first.token != "Bearer secret" || second.Variables["before"] != "at-b" {
		t.Errorf("token %q, then before %v", first.token, second.Variables["before"])
	}
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
		"not JSON":             {reply{body: `<html>`}, "not-graphql", "--graphql-endpoint", 0},
		"cut off":              {reply{body: `{"data":{"organization":{"jobs":`}, "not-graphql", "--graphql-endpoint", 0},
		"nothing":              {reply{body: ``}, "not-graphql", "--graphql-endpoint", 0},
		"another kind of job":  {reply{body: `{"data":{"organization":{"jobs":{"count":1,"edges":[{"node":{"__typename":"JobTypeNew"}}]}}}}`}, "not-graphql", "JobTypeNew", 0},
		"points elsewhere":     {reply{status: 302, header: map[string]string{"Location": "http://127.0.0.1:1/"}, body: `gone`}, "wrong-endpoint", "--graphql-endpoint", 0},
		"errors alone":         {reply{body: `{"errors":[{"message":"no luck"}]}`}, "graphql-errors", "no luck", 0},
		"half an answer": {reply{body: `{"errors":[{"message":"timed out","path":["organization","jobs","edges",0]}],"data":{"organization":{"jobs":{"count":3,"edges":[null,
			{"node":null},{"cursor":"a","node":{"__typename":"JobTypeCommand","uuid":"a","priority":{"number":null}}}]}}}}`}, "graphql-errors", "timed out", 1},
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
		_, url := serve(t, listed(0))
		client := clientFor(url, func(s *Settings) {
			s.Token = func() (string, error) { return "", &dispatcher.Problem{Kind: "token-file", Err: os.ErrNotExist} }
		})
		if _, err := client.Scheduled(t.Context(), unknown); kindOf(err) != "token-file" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("listing without end", func(t *testing.T) {
		server, url := serve(t, listed(9, "a"))
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
		if diff := cmp.Diff(want, listRules(tags)); diff != "" {
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
	if _, err := clientFor(url, nil).statesOf(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	if len(server.requests) != 3 {
		t.Errorf("%d requests, want the second call in two batches", len(server.requests))
	}
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
	for name, query := range map[string]string{"operations.graphql": string(operations), "states": statesQuery(3), "queues": queuesQuery(3)} {
		if _, errs := gqlparser.LoadQueryWithRules(schema, query, rules.NewDefaultRules()); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
		}
	}
}

func problemOf(err error) *dispatcher.Problem {
	problem, _ := errors.AsType[*dispatcher.Problem](err)
	return problem
}
