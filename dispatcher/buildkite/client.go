package buildkite

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Khan/genqlient/graphql"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

const (
	// DefaultGraphQLEndpoint is Buildkite's own.
	DefaultGraphQLEndpoint = "https://graphql.buildkite.com/v1"
	// DefaultRESTEndpoint is Buildkite's own.
	DefaultRESTEndpoint = "https://api.buildkite.com/v2"
	// DefaultRequestTimeout bounds one request with its answer.
	DefaultRequestTimeout = 60 * time.Second
)

// TokenSource returns a token. It is asked for every request, so that a
// mounted Secret may change.
type TokenSource func() (string, error)

// Settings say where jobs are and how to get at them.
type Settings struct {
	// Endpoint is the GraphQL API's URL; empty means Buildkite's own.
	Endpoint string
	// RESTEndpoint is the REST API's URL, for the removal of annotations; empty
	// means Buildkite's own.
	RESTEndpoint string
	// Token has GraphQL access to the organization. With the REST scopes
	// read_builds and write_builds it can remove annotations too.
	Token TokenSource
	// Organization is the organization's slug.
	Organization string
	// ClusterUUID is the cluster of the queues; empty means no cluster.
	ClusterUUID string
	// Queues are the tags of each queue's agents; the queue is among them, or
	// it is the default one.
	Queues []jobpod.Tags
	// BudgetShare is the part of the organization's complexity points that may be
	// used, at most 0.78. Zero, and what makes no sense, is DefaultBudgetShare.
	BudgetShare float64
	// RequestTimeout bounds one request with its answer. Default
	// DefaultRequestTimeout.
	RequestTimeout time.Duration
	// UserAgent names this program to Buildkite.
	UserAgent string
	// Transport carries requests; nil is http.DefaultTransport.
	Transport http.RoundTripper
	// Log gets what is worth saying once: nil is nowhere.
	Log *slog.Logger
}

// Client reads jobs by GraphQL and annotates builds. It is safe for concurrent
// use.
type Client struct {
	settings Settings
	log      *slog.Logger
	http     *http.Client
	graphql  graphql.Client
	budget   *budget
	pages    pageSize

	polling sync.Mutex
	queues  queueStates
	poll    pollState

	// everything is the scope of all queues, paused or not.
	everything atomic.Pointer[scope]

	// strangeStates are those met that are no JobStates.
	strangeStates sync.Map

	births    births
	withdrawn withdrawnJobsSeen
	notes     notes
}

var (
	_ dispatcher.Source    = (*Client)(nil)
	_ dispatcher.Backlog   = (*Client)(nil)
	_ dispatcher.JobStates = (*Client)(nil)
	_ dispatcher.Annotator = (*Client)(nil)
)

// NewClient makes a client. It asks Buildkite for nothing yet.
func NewClient(settings Settings) *Client {
	if settings.Endpoint == "" {
		settings.Endpoint = DefaultGraphQLEndpoint
	}
	if settings.RESTEndpoint == "" {
		settings.RESTEndpoint = DefaultRESTEndpoint
	}
	if settings.RequestTimeout <= 0 {
		settings.RequestTimeout = DefaultRequestTimeout
	}
	if settings.Log == nil {
		settings.Log = slog.New(slog.DiscardHandler)
	}
	if settings.Transport == nil {
		settings.Transport = http.DefaultTransport
	}
	budget := newBudget(settings.BudgetShare)
	authorized := &transport{
		token:     settings.Token,
		userAgent: settings.UserAgent,
		next:      settings.Transport,
	}
	return &Client{
		settings: settings,
		log:      settings.Log,
		budget:   budget,
		http:     &http.Client{Transport: authorized, CheckRedirect: stayHere},
		graphql:  graphql.NewClient(settings.Endpoint, &http.Client{Transport: &metered{budget: budget, next: authorized}, CheckRedirect: stayHere}),
	}
}

// stayHere follows no redirection: the token is for one host.
func stayHere(*http.Request, []*http.Request) error {
	return http.ErrUseLastResponse
}

// request makes one request, unless none may be made now. Points that are owed
// are for those to wait for who begin something: see budget.wait.
func (c *Client) request(ctx context.Context, send func(ctx context.Context) error) error {
	if blocked := c.budget.blocked(time.Now()); blocked > 0 {
		return c.budget.problem(blocked)
	}
	ctx, cancel := context.WithTimeout(ctx, c.settings.RequestTimeout)
	defer cancel()
	if err := send(ctx); err != nil {
		return c.problem(err)
	}
	return nil
}
