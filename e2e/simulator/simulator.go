package simulator

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/agentapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/control"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/fault"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/graphqlapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/page"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/repository"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/restapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// Middleware wraps a handler: the place for faults, rate limits and delays.
type Middleware func(http.Handler) http.Handler

// Options configure a Simulator. Only PublicURL is required.
type Options struct {
	// PublicURL is where agents, pods and browsers reach it: "http://10.0.0.1:8020".
	PublicURL string
	// Organization, Cluster, DefaultQueue, AgentTokens and the timeouts are those
	// of state.Options, with the same defaults.
	Organization           string
	Cluster                string
	DefaultQueue           string
	AgentTokens            []string
	UnclusteredAgentTokens []string
	HeartbeatTimeout       time.Duration
	CancelGrace            time.Duration
	AssignTimeout          time.Duration
	ScheduledExpiry        time.Duration
	// Unclustered is an organization without clusters.
	Unclustered bool
	// GraphQLTokens are the API tokens taken, each a user's. Default one,
	// "graphql-token".
	GraphQLTokens []string
	// Limits are those on GraphQL queries. Default: Buildkite's limit of one query
	// and none in time; see PublishedLimits.
	Limits Limits
	// PingInterval, JobStatusInterval and HeartbeatInterval are what agents are
	// told. Default 1 s, 1 s and 10 s; whole seconds.
	PingInterval, JobStatusInterval, HeartbeatInterval time.Duration
	// Secrets are what `buildkite-agent secret get` finds.
	Secrets map[string]string
	// Directory holds Git repositories. Empty is a new one that Close removes.
	Directory string
	// Middleware wraps the APIs of Buildkite, the first one outermost. The control
	// API and the page stay out of it.
	Middleware []Middleware
	// Log gets a line for every refused request. Default: none.
	Log *slog.Logger
}

// Simulator is a running simulator. Use New.
type Simulator struct {
	options      Options
	store        *state.Store
	repositories *repository.Server
	faults       fault.Script
	graphql      *graphqlapi.Server
	handler      http.Handler
	directory    string // to remove
	stop         chan struct{}
	stopped      sync.WaitGroup
	once         sync.Once
}

// sweepInterval is how often timeouts are looked at.
const sweepInterval = 500 * time.Millisecond

// New starts a simulator; serve its Handler and Close it. It is an error if
// there is no git on PATH, or no PublicURL.
func New(options Options) (*Simulator, error) {
	if options.PublicURL = strings.TrimRight(options.PublicURL, "/"); options.PublicURL == "" {
		return nil, errors.New("start simulator: PublicURL is required: the address where agents reach it")
	}
	if len(options.GraphQLTokens) == 0 {
		options.GraphQLTokens = []string{"graphql-token"}
	}
	if options.HeartbeatInterval <= 0 {
		options.HeartbeatInterval = 10 * time.Second
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	s := &Simulator{options: options, stop: make(chan struct{})}
	s.store = state.New(state.Options{
		Organization: options.Organization, Cluster: options.Cluster, DefaultQueue: options.DefaultQueue,
		AgentTokens: options.AgentTokens, UnclusteredAgentTokens: options.UnclusteredAgentTokens, PublicURL: options.PublicURL,
		HeartbeatTimeout: options.HeartbeatTimeout, CancelGrace: options.CancelGrace, AssignTimeout: options.AssignTimeout,
		ScheduledExpiry: options.ScheduledExpiry, Unclustered: options.Unclustered,
	})
	if err := s.openRepositories(); err != nil {
		return nil, fmt.Errorf("start simulator: %w", err)
	}
	handler, err := s.routes()
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("start simulator: %w", err)
	}
	s.handler = handler
	s.stopped.Go(s.sweep)
	return s, nil
}

func (s *Simulator) openRepositories() error {
	directory := s.options.Directory
	if directory == "" {
		temporary, err := os.MkdirTemp("", "simulator-")
		if err != nil {
			return err
		}
		directory, s.directory = temporary, temporary
	}
	root := filepath.Join(directory, "repositories")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	repositories, err := repository.New(root)
	s.repositories = repositories
	return err
}

func (s *Simulator) routes() (http.Handler, error) {
	graphql, err := graphqlapi.New(s.store, s.options.GraphQLTokens, s.options.Limits)
	if err != nil {
		return nil, err
	}
	s.graphql = graphql
	agents := agentapi.New(s.store, agentapi.Options{
		PingInterval: s.options.PingInterval, JobStatusInterval: s.options.JobStatusInterval,
		HeartbeatInterval: s.options.HeartbeatInterval, PublicURL: s.options.PublicURL, Secrets: s.options.Secrets,
	})
	steering := control.New(s.store, control.Options{
		Repositories: s.repositories, GraphQL: graphql, Faults: &s.faults, PublicURL: s.options.PublicURL,
	})
	buildkite := func(api string, handler http.Handler) http.Handler {
		return wrap(s.faults.Around(api, handler, s.store.NoteFault), s.options.Middleware)
	}
	mux := http.NewServeMux()
	mux.Handle("/graphql", buildkite(fault.GraphQL, graphql))
	mux.Handle("/v1", buildkite(fault.GraphQL, graphql))
	mux.Handle("/v2/", buildkite(fault.REST, restapi.New(s.store, graphql)))
	mux.Handle("/v3/", buildkite(fault.Agent, agents))
	mux.Handle("/artifacts/", wrap(steering, s.options.Middleware))
	mux.Handle(repository.Prefix+"/", s.repositories)
	mux.Handle("/simulator/", steering)
	mux.Handle("/", page.New(s.store, page.Sources{Usage: graphql.Usage, Faults: s.faults.List}))
	return logged(s.options.Log, surviving(s.options.Log, mux)), nil
}

func wrap(handler http.Handler, middleware []Middleware) http.Handler {
	for _, around := range slices.Backward(middleware) {
		handler = around(handler)
	}
	return handler
}

// sweep lets time pass for agents and jobs.
func (s *Simulator) sweep() {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			s.store.Sweep()
		}
	}
}

// Handler serves everything.
func (s *Simulator) Handler() http.Handler { return s.handler }

// Close stops the clock and removes what New made on disk. It may be called
// twice.
func (s *Simulator) Close() {
	s.once.Do(func() {
		close(s.stop)
		s.stopped.Wait()
		if s.directory != "" {
			_ = os.RemoveAll(s.directory)
		}
	})
}

// Store is the state, for tests in the same process.
func (s *Simulator) Store() *state.Store { return s.store }

// CreateBuild makes a build.
func (s *Simulator) CreateBuild(request BuildRequest) (Build, error) {
	return control.CreateBuild(s.store, s.options.PublicURL, request)
}

// AddFaults appends to the script of faults and returns them with their IDs.
func (s *Simulator) AddFaults(faults ...Fault) ([]Fault, error) { return s.faults.Add(faults) }

// Faults returns the script with its counts.
func (s *Simulator) Faults() []Fault { return s.faults.List() }

// RemoveFault ends a fault; with an empty ID, all.
func (s *Simulator) RemoveFault(id string) { s.faults.Remove(id) }

// Usage returns what GraphQL queries have cost.
func (s *Simulator) Usage() Usage { return s.graphql.Usage() }

// SetLimits changes the limits on GraphQL queries and begins new windows.
func (s *Simulator) SetLimits(limits Limits) { s.graphql.SetLimits(limits) }

// Oracle returns the oracle.
func (s *Simulator) Oracle() Oracle { return Oracle{store: s.store} }

// Oracle tells what happened to jobs.
type Oracle struct{ store *state.Store }

// Violations returns a sentence for everything that must never happen and did:
// a job acquired or finished twice, or finished without having been acquired.
func (o Oracle) Violations() []string { return o.store.Report().Violations }

// Verdict returns the violations and sums; it may be asked often.
func (o Oracle) Verdict() Verdict { return o.store.Verdict() }

// Report returns everything it knows.
func (o Oracle) Report() Report { return o.store.Report() }

// Job returns what happened to one job.
func (o Oracle) Job(uuid string) (Record, bool) { return o.store.Record(uuid) }
