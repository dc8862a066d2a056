package buildkite

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/Khan/genqlient/graphql"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

const (
	// DefaultGraphQLEndpoint is Buildkite's own.
	DefaultGraphQLEndpoint = "https://graphql.buildkite.com/v1"

	// pageSize is how many jobs one request lists.
	pageSize = 100
	// window is how many jobs one poll returns at most: enough for the
	// priorities among them to mean something, and for a second's dispatch.
	window = 500
	// requestTimeout bounds one request with its answer.
	requestTimeout = 60 * time.Second
	// pauseInterval is how long a queue's paused state is taken for granted.
	pauseInterval = 10 * time.Second
)

// TokenSource returns a token. It is asked for every request, so that a
// mounted Secret may change.
type TokenSource func() (string, error)

// Settings say where jobs are and how to get at them.
type Settings struct {
	// Endpoint is the GraphQL API's URL; empty means Buildkite's own.
	Endpoint string
	// Token has GraphQL access to the organization.
	Token TokenSource
	// Organization is the organization's slug.
	Organization string
	// ClusterUUID is the cluster of the queue; empty means no cluster.
	ClusterUUID string
	// Tags are those of the agents; the queue is among them.
	Tags jobpod.Tags
	// UserAgent names this program to Buildkite.
	UserAgent string
}

// Client reads jobs by GraphQL. It is safe for concurrent use.
type Client struct {
	settings Settings
	graphql  graphql.Client
	budget   *budget
	pause    pauseState
}

var (
	_ dispatcher.Source    = (*Client)(nil)
	_ dispatcher.JobStates = (*Client)(nil)
)

// NewClient makes a client. It asks Buildkite for nothing yet.
func NewClient(settings Settings) *Client {
	if settings.Endpoint == "" {
		settings.Endpoint = DefaultGraphQLEndpoint
	}
	budget := newBudget()
	transport := &transport{
		token:     settings.Token,
		userAgent: settings.UserAgent,
		budget:    budget,
		next:      http.DefaultTransport,
	}
	return &Client{
		settings: settings,
		budget:   budget,
		graphql:  graphql.NewClient(settings.Endpoint, &http.Client{Transport: transport}),
	}
}

// request makes one request once the budget allows it. The wait does not count
// towards the request's time.
func (c *Client) request(ctx context.Context, send func(ctx context.Context) error) error {
	if err := c.budget.wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := send(ctx); err != nil {
		return c.problem(err)
	}
	return nil
}

// clusterID returns the cluster's global id: GraphQL arguments take ids, while
// people have UUIDs.
func (c *Client) clusterID() string {
	return base64.StdEncoding.EncodeToString([]byte("Cluster---" + c.settings.ClusterUUID))
}

// listRules returns what to ask the job listing for. It returns jobs of which
// any rule matches; the dispatcher checks that all do. Every job of a queue
// has the queue's rule. Without a queue tag the agents are in the default
// queue, whose jobs may have no queue rule, so each tag is asked for.
func (c *Client) listRules() []string {
	queue := jobpod.Tag{Key: jobpod.QueueKey, Value: c.settings.Tags.Queue()}
	rules := []string{queue.String()}
	for _, tag := range c.settings.Tags {
		if tag.Key == jobpod.QueueKey {
			return rules[:1]
		}
		rules = append(rules, tag.String())
		if tag.Value == "true" {
			rules = append(rules, tag.Key)
		}
	}
	return rules
}
