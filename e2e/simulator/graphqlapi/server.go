package graphqlapi

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	graphql "github.com/graph-gophers/graphql-go"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/buildkite/agent-stack-k8s/dispatcher/buildkite"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

const (
	maxBodyBytes = 1 << 20
	maxDepth     = 15 // as Buildkite's
)

// statsHeader asks for the points of a query in the body of its answer.
const statsHeader = "Buildkite-Include-Query-Stats"

// Server is the GraphQL endpoint.
type Server struct {
	store    *state.Store
	budget   *budget
	executor *graphql.Schema
	types    *ast.Schema
}

// New returns the GraphQL endpoint, for requests that bear one of tokens, each
// of which is a user's. The error is for a schema that the resolvers do not fit.
func New(store *state.Store, tokens []string, limits Limits) (*Server, error) {
	executor, err := graphql.ParseSchema(buildkite.Schema, &root{store: store},
		graphql.UseStringDescriptions(), graphql.MaxDepth(maxDepth))
	if err != nil {
		return nil, fmt.Errorf("fit resolvers to schema: %w", err)
	}
	types, err := loadSchema(buildkite.Schema)
	if err != nil {
		return nil, fmt.Errorf("parse schema: %w", err)
	}
	return &Server{store: store, budget: newBudget(limits, tokens), executor: executor, types: types}, nil
}

// Usage returns what queries have cost.
func (s *Server) Usage() Usage { return s.budget.usage() }

// SetLimits changes the limits and begins new windows.
func (s *Server) SetLimits(limits Limits) { s.budget.setLimits(limits) }

// Takes reports whether a token is good.
func (s *Server) Takes(token string) bool { return s.budget.user(token) != nil }

// SetToken has a token taken, as a new user's if it is unknown, or taken no more.
// It is a 404 to revoke a token that never was one.
func (s *Server) SetToken(token string, revoked bool) error {
	if token == "" {
		return &state.Problem{Status: http.StatusUnprocessableEntity, Message: "name the token"}
	}
	if !s.budget.setToken(token, revoked) {
		return &state.Problem{Status: http.StatusNotFound, Message: "no such GraphQL token"}
	}
	return nil
}

// Request is what a client sends.
type Request struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName"`
	Variables     map[string]any `json:"variables"`
}

// answer is what a client gets.
type answer struct {
	*graphql.Response
	Stats *stats `json:"stats,omitempty"`
}

type stats struct {
	Requested int `json:"requestedComplexity"`
	Actual    int `json:"actualComplexity"`
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		writeError(w, http.StatusMethodNotAllowed, "GraphQL takes POST requests")
		return
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	user := s.budget.user(token)
	if !ok || user == nil {
		writeError(w, http.StatusUnauthorized, "Authentication required. Please supply a valid API Access Token")
		return
	}
	var request Request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes)).Decode(&request); err != nil {
		writeError(w, http.StatusBadRequest, "the body is not a GraphQL request in JSON: "+err.Error())
		return
	}
	if refused := s.budget.admit(user); refused != nil {
		s.budget.writeHeaders(w.Header(), user, 0, 0)
		if refused.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(refused.retryAfter.Seconds()))))
		}
		writeError(w, http.StatusTooManyRequests, refused.message)
		return
	}
	s.execute(w, r, user, request)
}

// execute answers a request that the budget admits. Its points are booked before
// anybody sees the answer.
func (s *Server) execute(w http.ResponseWriter, r *http.Request, user *account, request Request) {
	query := analyze(s.types, request.Query, request.OperationName, request.Variables)
	var cost stats
	if query != nil {
		cost.Requested = query.requested()
		if limit := s.budget.queryLimit(); cost.Requested > limit {
			s.budget.tooComplex(user)
			s.budget.writeHeaders(w.Header(), user, cost.Requested, 0)
			writeError(w, http.StatusOK, fmt.Sprintf("Query has complexity of %d, which exceeds max complexity of %d", cost.Requested, limit))
			return
		}
	}
	response := s.executor.Exec(withUser(r.Context(), user.user), request.Query, request.OperationName, request.Variables)
	if query != nil && len(response.Data) > 0 {
		var data any
		if err := json.Unmarshal(response.Data, &data); err == nil {
			cost.Actual = query.actual(data)
		}
	}
	s.budget.charge(user, query.name(), cost.Requested, cost.Actual)
	s.budget.writeHeaders(w.Header(), user, cost.Requested, cost.Actual)
	result := answer{Response: response}
	if r.Header.Get(statsHeader) == "true" {
		result.Stats = &cost
	}
	writeJSON(w, http.StatusOK, result)
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
