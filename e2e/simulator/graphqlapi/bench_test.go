package graphqlapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// BenchmarkPage asks for pages of 500 of 10,000 scheduled jobs as the dispatcher
// does, with points and limits: the last column is the time of a page.
func BenchmarkPage(b *testing.B) {
	store := state.New(state.Options{})
	parsed, err := pipeline.Read([]byte(`steps: [{command: a, agents: {queue: q}, parallelism: 10000}]`), nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := store.CreateBuild(state.NewBuild{Pipeline: parsed}); err != nil {
		b.Fatal(err)
	}
	server, err := New(store, []string{"good"}, Limits{User: 1 << 50, Organization: 1 << 50})
	if err != nil {
		b.Fatal(err)
	}
	const query = `query page($before: String) {organization(slug: "example") {jobs(state: [SCHEDULED], type: [COMMAND], agentQueryRules: ["queue=q"], last: 500, before: $before) {
		count edges {node {... on JobTypeCommand {uuid url env agentQueryRules scheduledAt createdAt priority {number}}}} pageInfo {hasPreviousPage startCursor}}}}`
	var before *string
	for b.Loop() {
		body, err := json.Marshal(Request{Query: query, Variables: map[string]any{"before": before}})
		if err != nil {
			b.Fatal(err)
		}
		request := httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
		request.Header.Set("Authorization", "Bearer good")
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, request)
		var answer struct {
			Data struct {
				Organization struct {
					Jobs struct {
						PageInfo struct {
							StartCursor     *string `json:"startCursor"`
							HasPreviousPage bool    `json:"hasPreviousPage"`
						} `json:"pageInfo"`
					} `json:"jobs"`
				} `json:"organization"`
			} `json:"data"`
		}
		if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil || recorder.Code != http.StatusOK {
			b.Fatalf("status %d, %v", recorder.Code, err)
		}
		info := answer.Data.Organization.Jobs.PageInfo
		if before = info.StartCursor; !info.HasPreviousPage {
			before = nil // begin again
		}
		if cost := recorder.Header().Get("Ratelimit-Complexity-Actual"); cost != "1004" {
			b.Fatalf("a page cost %s", cost)
		}
	}
}
