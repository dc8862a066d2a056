package graphqlapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

const sample = `
agents: {queue: kubernetes}
steps:
  - {command: make, key: build, label: Build, env: {A: b}, priority: 2}
  - wait
  - {command: make test, parallelism: 2}
`

type fixture struct {
	t       *testing.T
	store   *state.Store
	build   state.Build
	handler *Server
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	store := state.New(state.Options{PublicURL: "http://simulator.test"})
	parsed, err := pipeline.Read([]byte(sample), nil)
	if err != nil {
		t.Fatal(err)
	}
	build, err := store.CreateBuild(state.NewBuild{Pipeline: parsed, Repository: "http://simulator.test/git/a.git"})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := New(store, []string{"good"}, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t: t, store: store, build: build, handler: handler}
}

// send sends a query.
func (f *fixture) send(token, query string, variables map[string]any, headers map[string]string) *httptest.ResponseRecorder {
	f.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		f.t.Error(err)
	}
	request := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(string(body)))
	request.Header.Set("Authorization", "Bearer "+token)
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	f.handler.ServeHTTP(recorder, request)
	return recorder
}

// ask sends a query and returns the body.
func (f *fixture) ask(query string, variables map[string]any) string {
	f.t.Helper()
	recorder := f.send("good", query, variables, nil)
	if recorder.Code != http.StatusOK {
		f.t.Fatalf("status %d: %s", recorder.Code, recorder.Body)
	}
	return strings.TrimSpace(recorder.Body.String())
}

func TestQueries(t *testing.T) {
	f := newFixture(t)
	clusters := f.store.Clusters()
	job := f.build.Jobs[0]
	cases := map[string]struct {
		query     string
		variables map[string]any
		want      string
	}{
		"unknown organization": {`{organization(slug: "other") {id}}`, nil, `{"data":{"organization":null}}`},
		"no organization":      {`{organization {id}}`, nil, `{"data":{"organization":null}}`},
		"unknown job":          {`{job(uuid: "none") {__typename}}`, nil, `{"data":{"job":null}}`},
		"unknown cluster":      {`{organization(slug: "example") {cluster(id: "x") {name}}}`, nil, `{"data":{"organization":{"cluster":null}}}`},
		"cluster": {`query($id: ID!) {organization(slug: "example") {cluster(id: $id) {name defaultQueue {key} queues(first: 10) {edges {node {key dispatchPaused}}}}}}`,
			map[string]any{"id": state.GlobalID("Cluster", clusters[0].UUID)},
			`{"data":{"organization":{"cluster":{"name":"default","defaultQueue":{"key":"default"},"queues":{"edges":[{"node":{"key":"default","dispatchPaused":false}},{"node":{"key":"kubernetes","dispatchPaused":false}}]}}}}}`},
		"job": {`query($id: ID!) {job(uuid: $id) {__typename ... on JobTypeCommand {id label command state priority {number} passed exitStatus agent {name} step {key} build {number branch state pipeline {slug repository {url}}}}}}`,
			map[string]any{"id": job.UUID},
			`{"data":{"job":{"__typename":"JobTypeCommand","id":"` + state.GlobalID("Job", job.UUID) + `","label":"Build","command":"make","state":"SCHEDULED","priority":{"number":2},"passed":false,"exitStatus":null,"agent":null,"step":{"key":"build"},"build":{"number":1,"branch":"main","state":"SCHEDULED","pipeline":{"slug":"pipeline","repository":{"url":"http://simulator.test/git/a.git"}}}}}}`},
		"newest first, with a wait step": {`{organization(slug: "example") {jobs {count edges {node {__typename ... on JobTypeWait {state} ... on JobTypeCommand {state parallelGroupIndex}}}}}}`, nil,
			`{"data":{"organization":{"jobs":{"count":4,"edges":[{"node":{"__typename":"JobTypeCommand","state":"WAITING","parallelGroupIndex":1}},{"node":{"__typename":"JobTypeCommand","state":"WAITING","parallelGroupIndex":0}},{"node":{"__typename":"JobTypeWait","state":"WAITING"}},{"node":{"__typename":"JobTypeCommand","state":"SCHEDULED","parallelGroupIndex":null}}]}}}}`},
		"filters": {`{organization(slug: "example") {jobs(state: [SCHEDULED] type: [COMMAND] agentQueryRules: ["queue=kubernetes"] priority: {number: [2]} step: {key: ["build"]} first: 1) {count}}}`, nil,
			`{"data":{"organization":{"jobs":{"count":1}}}}`},
		"nulls as if left out": {`query($c: Boolean, $o: JobOrder, $s: [JobStates!]) {organization(slug: "example") {jobs(clustered: $c, order: $o, state: $s, first: 1) {count}}}`,
			map[string]any{"c": nil, "o": nil, "s": nil}, `{"data":{"organization":{"jobs":{"count":4}}}}`},
		"outside clusters":   {`{organization(slug: "example") {jobs(clustered: false) {count edges {cursor} pageInfo {hasNextPage startCursor}}}}`, nil, `{"data":{"organization":{"jobs":{"count":0,"edges":[],"pageInfo":{"hasNextPage":false,"startCursor":null}}}}}`},
		"concurrency groups": {`{organization(slug: "example") {jobs(concurrency: {group: ["g"]}) {count}}}`, nil, `{"data":{"organization":{"jobs":{"count":0}}}}`},
		"build by slug":      {`{build(slug: "example/pipeline/1") {uuid jobs(type: [WAIT]) {count}}}`, nil, `{"data":{"build":{"uuid":"` + f.build.UUID + `","jobs":{"count":1}}}}`},
		"viewer":             {`{viewer {user {name}}}`, nil, `{"data":{"viewer":{"user":{"name":"Simulated Person 1"}}}}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, f.ask(tc.query, tc.variables)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// deep asks for the jobs of the build of a job, and so on.
var deep = `{organization(slug: "example") {` + strings.Repeat(`jobs(first: 1) {edges {node {... on JobTypeCommand {build {`, 4) +
	"number" + strings.Repeat("}}}}}", 4) + "}}"

func TestQueryErrors(t *testing.T) {
	f := newFixture(t)
	cases := map[string]struct {
		query     string
		variables map[string]any
		want      string
	}{
		"unknown field":     {`{organization(slug: "example") {colour}}`, nil, `Cannot query field \"colour\"`},
		"unknown state":     {`{organization(slug: "example") {jobs(state: [SLEEPING]) {count}}}`, nil, "SLEEPING"},
		"bad cursor":        {`{organization(slug: "example") {jobs(after: "%") {count}}}`, nil, "is not a cursor"},
		"bad time":          {`{organization(slug: "example") {jobs(createdAtFrom: "soon") {count}}}`, nil, "is not a time"},
		"cancel by UUID":    {`mutation($id: ID!) {jobTypeCommandCancel(input: {id: $id}) {clientMutationId}}`, map[string]any{"id": f.build.Jobs[0].UUID}, "No job found"},
		"cancel a stranger": {`mutation($id: ID!) {jobTypeCommandCancel(input: {id: $id}) {clientMutationId}}`, map[string]any{"id": state.GlobalID("Job", "none")}, "No job found"},
		"too deep":          {deep, nil, "depth"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := f.ask(tc.query, tc.variables)
			if !strings.Contains(got, `"errors":[`) || !strings.Contains(got, tc.want) {
				t.Errorf("want an error with %q, have %s", tc.want, got)
			}
		})
	}
}

func TestMutations(t *testing.T) {
	f := newFixture(t)
	cancel := `mutation($id: ID!) {jobTypeCommandCancel(input: {id: $id, clientMutationId: "m"}) {clientMutationId jobTypeCommand {state canceledAt}}}`
	id := map[string]any{"id": state.GlobalID("Job", f.build.Jobs[0].UUID)}
	if got := f.ask(cancel, id); !strings.HasPrefix(got, `{"data":{"jobTypeCommandCancel":{"clientMutationId":"m","jobTypeCommand":{"state":"CANCELED","canceledAt":"2`) {
		t.Error(got)
	}
	if got := f.ask(cancel, id); !strings.Contains(got, "is canceled already") {
		t.Error(got)
	}
	annotate := `mutation($id: ID!) {buildAnnotate(input: {buildID: $id, body: "text", style: WARNING}) {annotation {context style priority body {text}}}}`
	want := `{"data":{"buildAnnotate":{"annotation":{"context":"default","style":"WARNING","priority":3,"body":{"text":"text"}}}}}`
	if diff := cmp.Diff(want, f.ask(annotate, map[string]any{"id": state.GlobalID("Build", f.build.UUID)})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAnnotations: GraphQL adds and changes annotations and lists them; it has no
// mutation that removes one.
func TestAnnotations(t *testing.T) {
	f := newFixture(t)
	id := state.GlobalID("Build", f.build.UUID)
	annotate := func(input string) {
		t.Helper()
		if got := f.ask(`mutation($id: ID!) {buildAnnotate(input: {buildID: $id, `+input+`}) {annotation {uuid}}}`, map[string]any{"id": id}); strings.Contains(got, "errors") {
			t.Fatal(got)
		}
	}
	annotate(`body: "one", context: "a", priority: 9`)
	annotate(`body: "waits", context: "b", style: WARNING`)
	annotate(`body: "for quota", context: "b", style: ERROR`)
	annotate(`body: ", still", context: "b", style: ERROR, append: true`)
	cases := map[string]struct{ arguments, want string }{
		"latest first":   {``, `{"count":2,"edges":[{"node":{"context":"b","style":"ERROR","priority":3,"body":{"text":"for quota, still"}}},{"node":{"context":"a","style":"DEFAULT","priority":9,"body":{"text":"one"}}}]}`},
		"one of a style": {`(style: [ERROR])`, `{"count":1,"edges":[{"node":{"context":"b","style":"ERROR","priority":3,"body":{"text":"for quota, still"}}}]}`},
		"by priority":    {`(order: PRIORITY_RECENTLY_CREATED, first: 1)`, `{"count":2,"edges":[{"node":{"context":"a","style":"DEFAULT","priority":9,"body":{"text":"one"}}}]}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := f.ask(`query($id: ID!) {build(uuid: $id) {annotations`+tc.arguments+` {count edges {node {context style priority body {text}}}}}}`, map[string]any{"id": f.build.UUID})
			if diff := cmp.Diff(`{"data":{"build":{"annotations":`+tc.want+`}}}`, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRetryMutation cancels a job and runs it again.
func TestRetryMutation(t *testing.T) {
	f := newFixture(t)
	const retry = `mutation($id: ID!) {jobTypeCommandRetry(input: {id: $id}) {jobTypeCommand {retried retryType} retriedInJobTypeCommand {state retriesCount}}}`
	id := map[string]any{"id": state.GlobalID("Job", f.build.Jobs[0].UUID)}
	if got := f.ask(retry, id); !strings.Contains(got, "only failed, timed out, expired or canceled jobs can be retried") {
		t.Error(got)
	}
	if _, err := f.store.Cancel(f.build.Jobs[0].UUID, "test"); err != nil {
		t.Fatal(err)
	}
	want := `{"data":{"jobTypeCommandRetry":{"jobTypeCommand":{"retried":true,"retryType":"MANUAL"},"retriedInJobTypeCommand":{"state":"SCHEDULED","retriesCount":1}}}}`
	if diff := cmp.Diff(want, f.ask(retry, id)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, id := range []string{"none", state.GlobalID("Job", "none")} {
		if got := f.ask(retry, map[string]any{"id": id}); !strings.Contains(got, "No job found") {
			t.Error(got)
		}
	}
}

// TestSignalReasons: an answer never holds a reason that the schema lacks.
func TestSignalReasons(t *testing.T) {
	for reason, want := range map[string]string{"stack_error": `"STACK_ERROR"`, "": "null", "something_new": "null"} {
		f := newFixture(t)
		identity, _ := f.store.Identify("agent-token")
		agent, _, err := f.store.Register(identity, state.NewAgent{Tags: f.build.Jobs[0].Rules})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.store.Acquire(agent.UUID, f.build.Jobs[0].UUID); err != nil {
			t.Fatal(err)
		}
		if err := f.store.Finish(f.build.Jobs[0].UUID, state.Finish{ExitStatus: "-1", SignalReason: reason}); err != nil {
			t.Fatal(err)
		}
		got := f.ask(`query($id: ID!) {job(uuid: $id) {... on JobTypeCommand {exitStatus signalReason}}}`, map[string]any{"id": f.build.Jobs[0].UUID})
		if diff := cmp.Diff(`{"data":{"job":{"exitStatus":"-1","signalReason":`+want+`}}}`, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestAuthentication(t *testing.T) {
	f := newFixture(t)
	cases := map[string]struct {
		method, authorization string
		status                int
	}{
		"good":         {http.MethodPost, "Bearer good", http.StatusOK},
		"none":         {http.MethodPost, "", http.StatusUnauthorized},
		"unknown":      {http.MethodPost, "Bearer bad", http.StatusUnauthorized},
		"other scheme": {http.MethodPost, "Token good", http.StatusUnauthorized},
		"empty":        {http.MethodPost, "Bearer ", http.StatusUnauthorized},
		"GET":          {http.MethodGet, "Bearer good", http.StatusMethodNotAllowed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest(tc.method, "/graphql", strings.NewReader(`{"query": "{viewer{id}}"}`))
			request.Header.Set("Authorization", tc.authorization)
			recorder := httptest.NewRecorder()
			f.handler.ServeHTTP(recorder, request)
			if recorder.Code != tc.status {
				t.Fatalf("status %d, want %d", recorder.Code, tc.status)
			}
			var body struct {
				Errors []struct {
					Message string `json:"message"`
				} `json:"errors"`
			}
			if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if (tc.status != http.StatusOK) != (len(body.Errors) == 1) {
				t.Errorf("body %s", recorder.Body)
			}
		})
	}
}

// TestDispatchersQueries executes what the dispatcher sends, from its own file.
func TestDispatchersQueries(t *testing.T) {
	text, err := os.ReadFile("../../../dispatcher/buildkite/operations.graphql")
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	document, err := parser.ParseQuery(&ast.Source{Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		variables map[string]any
		want      string
	}{
		"scheduledJobs": {map[string]any{"organization": "example", "rules": []string{"queue=kubernetes"}, "last": 10}, f.build.Jobs[0].UUID},
		"clusterQueues": {map[string]any{"organization": "example", "cluster": state.GlobalID("Cluster", f.store.Clusters()[0].UUID)}, `"key":"kubernetes"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			operation := document.Operations.ForName(name)
			if operation == nil {
				t.Fatal("the dispatcher has no such operation")
			}
			// Clients send one operation with the fragments it uses.
			single := &ast.QueryDocument{Operations: ast.OperationList{operation}}
			if name == "scheduledJobs" {
				single.Fragments = document.Fragments
			}
			var query strings.Builder
			formatter.NewFormatter(&query).FormatQueryDocument(single)
			if got := f.ask(query.String(), tc.variables); strings.Contains(got, `"errors"`) || !strings.Contains(got, tc.want) {
				t.Errorf("want %s in %s", tc.want, got)
			}
		})
	}
}
