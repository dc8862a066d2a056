package graphqlapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	graphql "github.com/graph-gophers/graphql-go"

	"github.com/buildkite/agent-stack-k8s/dispatcher/buildkite"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

const (
	maxBodyBytes = 1 << 20
	maxDepth     = 15 // as Buildkite's
)

type server struct {
	tokens []string
	schema *graphql.Schema
}

// New returns the handler of the GraphQL endpoint, for requests that bear one of
// tokens. The error is for a schema that the resolvers do not fit.
func New(store *state.Store, tokens []string) (http.Handler, error) {
	schema, err := graphql.ParseSchema(buildkite.Schema, &root{store: store},
		graphql.UseStringDescriptions(), graphql.MaxDepth(maxDepth))
	if err != nil {
		return nil, fmt.Errorf("fit resolvers to schema: %w", err)
	}
	return &server{tokens: tokens, schema: schema}, nil
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		writeError(w, http.StatusMethodNotAllowed, "GraphQL takes POST requests")
		return
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !slices.Contains(s.tokens, token) {
		writeError(w, http.StatusUnauthorized, "Authentication required. Please supply a valid API Access Token")
		return
	}
	var request struct {
		Query         string         `json:"query"`
		OperationName string         `json:"operationName"`
		Variables     map[string]any `json:"variables"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes)).Decode(&request); err != nil {
		writeError(w, http.StatusBadRequest, "the body is not a GraphQL request in JSON: "+err.Error())
		return
	}
	response := s.schema.Exec(r.Context(), request.Query, request.OperationName, request.Variables)
	writeJSON(w, http.StatusOK, response)
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{"errors": []map[string]string{{"message": message}}})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}
