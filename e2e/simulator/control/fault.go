package control

import (
	"net/http"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/fault"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/graphqlapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// nothing is the answer where there is nothing to say.
type nothing struct{}

// RetriedJob is a retried job with the one that took its place.
type RetriedJob struct {
	Job       state.Job `json:"job"`
	RetriedIn state.Job `json:"retried_in"`
}

func (s *server) faultRoutes(handle func(string, func(*http.Request) (any, error))) {
	handle("GET /simulator/faults", func(*http.Request) (any, error) { return s.Faults.List(), nil })
	handle("POST /simulator/faults", s.addFaults)
	handle("DELETE /simulator/faults", s.removeFaults)
	handle("DELETE /simulator/faults/{fault}", s.removeFaults)
	handle("GET /simulator/graphql", func(*http.Request) (any, error) { return s.GraphQL.Usage(), nil })
	handle("POST /simulator/graphql/limits", s.setLimits)
	handle("POST /simulator/tokens", s.setToken)
	handle("POST /simulator/jobs/{job}/retry", s.retry)
	handle("GET /simulator/oracle/verdict", func(*http.Request) (any, error) { return s.store.Verdict(), nil })
}

func (s *server) addFaults(r *http.Request) (any, error) {
	var request []fault.Fault
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	return s.Faults.Add(request)
}

func (s *server) removeFaults(r *http.Request) (any, error) {
	s.Faults.Remove(r.PathValue("fault"))
	return s.Faults.List(), nil
}

func (s *server) setLimits(r *http.Request) (any, error) {
	var request graphqlapi.Limits
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	s.GraphQL.SetLimits(request)
	return s.GraphQL.Usage(), nil
}

func (s *server) setToken(r *http.Request) (any, error) {
	var request TokenRequest
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	switch request.Kind {
	case "graphql":
		return nothing{}, s.GraphQL.SetToken(request.Token, request.Revoked)
	case "agent":
		return nothing{}, s.store.SetAgentToken(request.Token, request.Cluster, request.Revoked)
	default:
		return nil, &state.Problem{Status: http.StatusUnprocessableEntity, Message: "unknown kind of token; know graphql and agent"}
	}
}

func (s *server) retry(r *http.Request) (any, error) {
	old, next, err := s.store.Retry(r.PathValue("job"), byControl)
	return RetriedJob{Job: old, RetriedIn: next}, err
}
