package graphqlapi

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// cost asks a query for its points, as a client can.
func (f *fixture) cost(query string, variables map[string]any) stats {
	f.t.Helper()
	recorder := f.send("good", query, variables, map[string]string{statsHeader: "true"})
	var body struct {
		Stats *stats `json:"stats"`
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil || body.Stats == nil || strings.Contains(recorder.Body.String(), `"errors"`) {
		f.t.Fatalf("no points in %s, %v", recorder.Body, err)
	}
	return *body.Stats
}

// TestComplexity has one build of four jobs in one cluster with two queues.
func TestComplexity(t *testing.T) {
	f := newFixture(t)
	clusterID := state.GlobalID("Cluster", f.store.Clusters()[0].UUID)
	buildID := f.build.UUID
	org := func(inside string) string { return `{organization(slug: "example") {` + inside + `}}` }
	cases := map[string]struct {
		query     string
		variables map[string]any
		want      stats
	}{
		// What Buildkite's page on limits counts as 503 for pipelines.
		"the published example":       {org(`clusters(first: 500) {edges {node {name}}}`), nil, stats{503, 4}},
		"scalars are free":            {org(`id uuid slug name`), nil, stats{1, 1}},
		"typename is free":            {`{__typename organization(slug: "example") {__typename}}`, nil, stats{1, 1}},
		"an unknown organization":     {`{organization(slug: "other") {id}}`, nil, stats{1, 0}},
		"no first and no last":        {org(`jobs {edges {node {... on JobTypeCommand {uuid}}}}`), nil, stats{503, 7}},
		"only a count":                {org(`jobs(state: [SCHEDULED]) {count}`), nil, stats{2, 2}},
		"page info":                   {org(`jobs(first: 2) {count pageInfo {endCursor}}`), nil, stats{3, 3}},
		"cursors without nodes":       {org(`jobs(first: 2) {edges {cursor}}`), nil, stats{3, 3}},
		"an empty page":               {org(`jobs(first: 9, state: [EXPIRED]) {edges {node {... on JobTypeCommand {uuid}}}}`), nil, stats{12, 3}},
		"last counts as first":        {org(`jobs(last: 3) {edges {node {... on JobTypeCommand {uuid}}}}`), nil, stats{6, 6}},
		"the larger of both":          {org(`jobs(first: 3, last: 2) {edges {node {... on JobTypeWait {uuid}}}}`), nil, stats{6, 5}},
		"priority of each job":        {org(`jobs(first: 10, type: [COMMAND]) {edges {node {... on JobTypeCommand {priority {number}}}}}`), nil, stats{23, 9}},
		"the dearest member counts":   {org(`jobs(first: 10) {edges {node {... on JobTypeCommand {priority {number} step {key}} ... on JobTypeWait {step {key}}}}}`), nil, stats{33, 14}},
		"null costs nothing":          {org(`jobs(first: 1) {edges {node {... on JobTypeCommand {agent {name}}}}}`), nil, stats{5, 4}},
		"nested connections multiply": {org(`clusters(first: 2) {edges {node {queues(first: 10) {edges {node {key}}}}}}`), nil, stats{3 + 2*(1+2+10), 3 + 1 + 2 + 2}},
		"aliases count each":          {org(`a: jobs(first: 5) {count} b: jobs(first: 5) {count}`), nil, stats{3, 3}},
		"the same twice counts once":  {org(`jobs(first: 5) {count} jobs(first: 5) {edges {node {... on JobTypeCommand {uuid}}} pageInfo {endCursor}}`), nil, stats{9, 8}},
		"fragments": {
			`query {organization(slug: "example") {...o}} fragment o on Organization {jobs(first: 3) {...j}} fragment j on JobConnection {edges {node {...c}}} fragment c on JobTypeCommand {priority {number}}`, nil, stats{3 + 3*2, 3 + 3 + 2},
		},
		"variables":            {`query($n: Int!) {organization(slug: "example") {jobs(last: $n) {edges {node {... on JobTypeCommand {uuid}}}}}}`, map[string]any{"n": 100}, stats{103, 7}},
		"a variable's default": {`query($n: Int = 50) {organization(slug: "example") {jobs(last: $n) {edges {node {... on JobTypeCommand {uuid}}}}}}`, nil, stats{53, 7}},
		"null means unsized":   {`query($n: Int) {organization(slug: "example") {jobs(last: $n) {edges {node {... on JobTypeCommand {uuid}}}}}}`, map[string]any{"n": nil}, stats{503, 7}},
		"left out by a directive": {
			`query($no: Boolean!) {organization(slug: "example") {jobs(first: 9) @include(if: $no) {count} clusters(first: 9) @skip(if: true) {count}}}`,
			map[string]any{"no": false}, stats{1, 1},
		},
		"interfaces":    {`query($id: ID!) {build(uuid: $id) {pipeline {cluster {defaultQueue {key}}}}}`, map[string]any{"id": buildID}, stats{4, 4}},
		"one cluster":   {`query($id: ID!) {organization(slug: "example") {cluster(id: $id) {queues(first: 100) {edges {node {key dispatchPaused}} pageInfo {hasNextPage}}}}}`, map[string]any{"id": clusterID}, stats{105, 7}},
		"one job":       {`query($id: ID!) {job(uuid: $id) {... on JobTypeCommand {state}}}`, map[string]any{"id": f.build.Jobs[0].UUID}, stats{1, 1}},
		"a mutation":    {`mutation($id: ID!) {buildAnnotate(input: {buildID: $id, body: "x"}) {annotation {body {text}} build {number}}}`, map[string]any{"id": state.GlobalID("Build", buildID)}, stats{4, 4}},
		"introspection": {`{__schema {queryType {name}} organization(slug: "example") {id}}`, nil, stats{1, 1}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, f.cost(tc.query, tc.variables)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDispatchersCost says what the dispatcher's own queries cost.
func TestDispatchersCost(t *testing.T) {
	text, err := os.ReadFile("../../../dispatcher/buildkite/operations.graphql")
	if err != nil {
		t.Fatal(err)
	}
	document, err := parser.ParseQuery(&ast.Source{Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	var query strings.Builder
	formatter.NewFormatter(&query).FormatQueryDocument(&ast.QueryDocument{
		Operations: ast.OperationList{document.Operations.ForName("scheduledJobs")}, Fragments: document.Fragments,
	})
	f := newFixture(t)
	got := f.cost(query.String(), map[string]any{"organization": "example", "rules": []string{"queue=kubernetes"}, "last": 100})
	// Organization, jobs and edges; a job and its priority each.
	if diff := cmp.Diff(stats{3 + 2*100, 3 + 2*1}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTooComplex(t *testing.T) {
	f := newFixture(t)
	cases := map[string]struct{ query, want string }{
		"connections in connections": {
			`{organization(slug: "example") {clusters {edges {node {queues {edges {node {key}}}}}}}}`,
			"Query has complexity of 251503, which exceeds max complexity of 50000",
		},
		"more than any number": {
			`{organization(slug: "example") {` + strings.Repeat(`clusters(first: 2147483647) {edges {node {organization {`, 3) + "id" + strings.Repeat("}}}}", 3) + "}}",
			"which exceeds max complexity of 50000",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			recorder := f.send("good", tc.query, nil, nil)
			if recorder.Code != 200 || !strings.Contains(recorder.Body.String(), tc.want) || strings.Contains(recorder.Body.String(), `"data"`) {
				t.Errorf("status %d: %s", recorder.Code, recorder.Body)
			}
		})
	}
	usage := f.handler.Usage().Users[0]
	if usage.Points != 0 || usage.TooComplex != 2 {
		t.Errorf("usage %+v", usage)
	}
}
