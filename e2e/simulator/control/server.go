package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/fault"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/graphqlapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/logtext"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/repository"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

const maxBodyBytes = 64 << 20

// buildsListed is how many builds a list holds.
const buildsListed = 200

// Options are what is steered. All are required.
type Options struct {
	Repositories *repository.Server
	GraphQL      *graphqlapi.Server
	Faults       *fault.Script
	// PublicURL has no slash at its end.
	PublicURL string
}

type server struct {
	Options
	store *state.Store
}

// New returns the handler of /simulator/ and of /artifacts/.
func New(store *state.Store, options Options) http.Handler {
	s := &server{Options: options, store: store}
	mux := http.NewServeMux()
	handle := func(pattern string, endpoint func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
			result, err := endpoint(r)
			if err != nil {
				writeError(w, err)
				return
			}
			write(w, http.StatusOK, result)
		})
	}
	handle("POST /simulator/builds", s.createBuild)
	handle("GET /simulator/builds", func(*http.Request) (any, error) { return s.store.Builds(buildsListed), nil })
	handle("GET /simulator/builds/{build}", s.build)
	handle("POST /simulator/builds/{build}/cancel", func(r *http.Request) (any, error) { return s.store.CancelBuild(r.PathValue("build"), byControl) })
	handle("GET /simulator/builds/{build}/annotations", func(r *http.Request) (any, error) { return s.store.Annotations(r.PathValue("build")) })
	handle("GET /simulator/builds/{build}/meta-data", func(r *http.Request) (any, error) { return s.store.MetaData(r.PathValue("build")) })
	handle("GET /simulator/builds/{build}/artifacts", s.artifacts)
	handle("GET /simulator/jobs", s.jobs)
	handle("GET /simulator/jobs/{job}", s.job)
	handle("GET /simulator/jobs/{job}/record", s.record)
	handle("POST /simulator/jobs/{job}/cancel", func(r *http.Request) (any, error) { return s.store.Cancel(r.PathValue("job"), byControl) })
	handle("GET /simulator/oracle", func(*http.Request) (any, error) { return s.store.Report(), nil })
	handle("GET /simulator/clusters", func(*http.Request) (any, error) { return s.store.Clusters(), nil })
	handle("POST /simulator/clusters", s.addCluster)
	handle("POST /simulator/queues", s.pauseQueue)
	handle("GET /simulator/agents", func(*http.Request) (any, error) { return s.store.Agents(), nil })
	handle("POST /simulator/agents/{agent}", s.directAgent)
	handle("POST /simulator/repositories", s.createRepository)
	s.faultRoutes(handle)
	mux.HandleFunc("GET /simulator/jobs/{job}/log", s.log)
	s.artifactRoutes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &state.Problem{Status: http.StatusNotFound, Message: "no such endpoint: " + r.Method + " " + r.URL.Path})
	})
	return mux
}

// byControl names this API in the oracle's records.
const byControl = "control API"

func decode(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return &state.Problem{Status: http.StatusBadRequest, Message: "the body is not the JSON expected: " + err.Error()}
	}
	return nil
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}

func writeError(w http.ResponseWriter, err error) {
	status := http.StatusUnprocessableEntity
	if problem, ok := errors.AsType[*state.Problem](err); ok {
		status = problem.Status
	}
	write(w, status, map[string]string{"message": err.Error()})
}

func missing(kind, uuid string) error {
	return &state.Problem{Status: http.StatusNotFound, Message: fmt.Sprintf("no %s %q", kind, uuid)}
}

func (s *server) job(r *http.Request) (any, error) {
	job, ok := s.store.Job(r.PathValue("job"))
	if !ok {
		return nil, missing("job", r.PathValue("job"))
	}
	return job, nil
}

func (s *server) record(r *http.Request) (any, error) {
	record, ok := s.store.Record(r.PathValue("job"))
	if !ok {
		return nil, missing("job", r.PathValue("job"))
	}
	return record, nil
}

// jobs lists jobs, newest first: ?state=scheduled,running&type=command&after=cursor.
func (s *server) jobs(r *http.Request) (any, error) {
	query := r.URL.Query()
	filter := state.Filter{BuildUUID: query.Get("build")}
	for _, name := range strings.FieldsFunc(query.Get("state"), isComma) {
		filter.States = append(filter.States, state.State(name))
	}
	filter.Types = strings.FieldsFunc(query.Get("type"), isComma)
	var page state.Page
	if after := query.Get("after"); after != "" {
		page.After = &after
	}
	return s.store.ListJobs(filter, page)
}

func isComma(r rune) bool { return r == ',' }

// log writes a job's log as text, or with ?raw=1 as the agent sent it.
func (s *server) log(w http.ResponseWriter, r *http.Request) {
	log, ok := s.store.Log(r.PathValue("job"))
	if !ok {
		writeError(w, missing("job", r.PathValue("job")))
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.URL.Query().Get("raw") == "" {
		log = []byte(logtext.Plain(log))
	}
	_, _ = w.Write(log)
}
