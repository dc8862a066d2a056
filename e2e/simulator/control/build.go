package control

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/repository"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

func (s *server) createBuild(r *http.Request) (any, error) {
	var request BuildRequest
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	return CreateBuild(s.store, s.PublicURL, request)
}

// CreateBuild makes a build of a request. A pipeline that cannot be used is a
// 422 that says where.
func CreateBuild(store *state.Store, publicURL string, request BuildRequest) (state.Build, error) {
	if ours := store.Organization().Slug; request.Organization != "" && request.Organization != ours {
		return state.Build{}, &state.Problem{
			Status:  http.StatusNotFound,
			Message: fmt.Sprintf("no organization %q; the simulator's is %q", request.Organization, ours),
		}
	}
	var environment pipeline.Environment
	if request.Interpolate {
		environment = variables(request.Env)
	}
	parsed, err := pipeline.Read([]byte(request.Pipeline), environment)
	if err != nil {
		return state.Build{}, &state.Problem{Status: http.StatusUnprocessableEntity, Message: err.Error()}
	}
	if request.Repository != "" && !strings.ContainsAny(request.Repository, ":/") {
		request.Repository = RepositoryURL(publicURL, request.Repository)
	}
	return store.CreateBuild(state.NewBuild{
		Pipeline: parsed, Slug: request.Slug, Cluster: request.Cluster,
		Branch: request.Branch, Commit: request.Commit, Message: request.Message, Repository: request.Repository,
		Env: request.Env, MetaData: request.MetaData,
	})
}

// variables are a pipeline's environment while its variables are replaced; what
// the pipeline sets itself is seen by later text.
type variables map[string]string

func (v variables) Get(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}

func (v variables) Set(name, value string) { v[name] = value }

// RepositoryURL is where the simulator serves the repository of that name.
func RepositoryURL(publicURL, name string) string {
	return publicURL + repository.Prefix + "/" + name + ".git"
}

func (s *server) build(r *http.Request) (any, error) {
	build, ok := s.store.Build(r.PathValue("build"))
	if !ok {
		return nil, missing("build", r.PathValue("build"))
	}
	return build, nil
}

func (s *server) createRepository(r *http.Request) (any, error) {
	var request RepositoryRequest
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	commit, err := s.Repositories.Commit(r.Context(), request.Name, request.Branch, request.Files)
	if err != nil {
		return nil, err
	}
	return Repository{URL: RepositoryURL(s.PublicURL, request.Name), Commit: commit}, nil
}

func (s *server) addCluster(r *http.Request) (any, error) {
	var request ClusterRequest
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	return s.store.AddCluster(request.Name, request.AgentToken, request.DefaultQueue)
}

func (s *server) pauseQueue(r *http.Request) (any, error) {
	var request QueueRequest
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	return s.store.PauseQueue(request.Cluster, request.Key, request.Paused, request.Note)
}

func (s *server) directAgent(r *http.Request) (any, error) {
	var request AgentRequest
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	return s.store.DirectAgent(r.PathValue("agent"), request.Action)
}
