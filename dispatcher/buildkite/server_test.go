package buildkite

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// graphQL answers requests in turn and holds each against the schema.
type graphQL struct {
	t      *testing.T
	schema *ast.Schema

	mu       sync.Mutex
	answers  []reply
	requests []request
}

type reply struct {
	status int
	body   string
	header map[string]string
}

type request struct {
	OperationName string         `json:"operationName"`
	Query         string         `json:"query"`
	Variables     map[string]any `json:"variables"`
	token         string
}

// serve starts a server with these answers; the last is repeated.
func serve(t *testing.T, answers ...reply) (*graphQL, string) {
	t.Helper()
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: Schema})
	if err != nil {
		t.Fatal(err)
	}
	server := &graphQL{t: t, schema: schema, answers: answers}
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	return server, listener.URL
}

func (s *graphQL) ServeHTTP(writer http.ResponseWriter, httpRequest *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var got request
	body, _ := io.ReadAll(httpRequest.Body)
	if err := json.Unmarshal(body, &got); err != nil {
		s.t.Errorf("request is not JSON: %v", err)
	}
	if _, errs := gqlparser.LoadQueryWithRules(s.schema, got.Query, rules.NewDefaultRules()); len(errs) > 0 {
		s.t.Errorf("operation %s does not fit the schema: %v", got.OperationName, errs)
	}
	got.token = httpRequest.Header.Get("Authorization")
	s.requests = append(s.requests, got)
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	for name, value := range answer.header {
		writer.Header().Set(name, value)
	}
	writer.WriteHeader(max(answer.status, http.StatusOK))
	_, _ = io.WriteString(writer, answer.body)
}

// clientFor makes a client of the server outside clusters.
func clientFor(url string, change func(*Settings)) *Client {
	settings := Settings{
		Endpoint: url, Organization: "acme",
		Token:  func() (string, error) { return "secret", nil },
		Queues: []jobpod.Tags{{{Key: "queue", Value: "kubernetes"}}},
	}
	if change != nil {
		change(&settings)
	}
	return NewClient(settings)
}

// listed is a page of a listing of count jobs, newest first as Buildkite sends
// it.
func listed(count int, uuids ...string) reply {
	edges := make([]string, len(uuids))
	for i, uuid := range uuids {
		edges[i] = edge(uuid)
	}
	return pageOf(count, edges...)
}

func edge(uuid string) string {
	return fmt.Sprintf(`{"cursor":"at-%s","node":{"__typename":"JobTypeCommand","uuid":%[1]q,"url":"https://x/%[1]s","env":["A=b"],
		"agentQueryRules":["queue=kubernetes"],"scheduledAt":"2030-01-01T00:00:00Z","createdAt":"2030-01-01T00:00:00Z","priority":{"number":3}}}`, uuid)
}

func pageOf(count int, edges ...string) reply {
	return reply{body: fmt.Sprintf(`{"data":{"organization":{"jobs":{"count":%d,"edges":[%s]}}}}`, count, strings.Join(edges, ","))}
}

func counted(count int) reply {
	return reply{body: fmt.Sprintf(`{"data":{"organization":{"jobs":{"count":%d}}}}`, count)}
}

// operations returns the names of the operations that were asked for.
func (s *graphQL) operations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, request := range s.requests {
		names = append(names, request.OperationName)
	}
	return names
}
