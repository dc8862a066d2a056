// Package buildkite asks Buildkite the few things that people's commands want to
// know. The dispatcher's own client, which polls within a budget, links far more.
package buildkite

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/Khan/genqlient/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Endpoints are Buildkite's own.
const (
	graphqlEndpoint = "https://graphql.buildkite.com/v1"
	requestTimeout  = 20 * time.Second
)

// Operations holds the queries; a test holds them against the schema.
//
//go:embed operations.graphql
var Operations string

// Client asks with one token.
type Client struct {
	graphql  graphql.Client
	endpoint string
	headers  *headers
}

// New makes a client; an empty endpoint is Buildkite's own.
func New(endpoint, token string) *Client {
	endpoint = cmp.Or(endpoint, graphqlEndpoint)
	headers := &headers{token: token}
	return &Client{endpoint: endpoint, headers: headers, graphql: graphql.NewClient(endpoint, &http.Client{
		Transport: headers, Timeout: requestTimeout,
		// The token is for one host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})}
}

// headers sends the token and keeps what answers tell of limits.
type headers struct {
	token  string
	budget Budget
}

// RoundTrip implements http.RoundTripper.
func (h *headers) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+h.token)
	request.Header.Set("User-Agent", "agent-stack-k8s")
	response, err := http.DefaultTransport.RoundTrip(request)
	if err == nil {
		h.budget.observe(response.Header)
	}
	return response, err
}

// Budget is what is left of a window of five minutes, in points; a Limit of 0 is
// unknown.
type Budget struct {
	Left, Limit                         int
	OrganizationLeft, OrganizationLimit int
}

func (b *Budget) observe(header http.Header) {
	number := func(name string, into *int) {
		if value, err := strconv.Atoi(header.Get(name)); err == nil {
			*into = value
		}
	}
	number("RateLimit-User-Remaining", &b.Left)
	number("RateLimit-User-Limit", &b.Limit)
	number("RateLimit-Remaining", &b.OrganizationLeft)
	number("RateLimit-Limit", &b.OrganizationLimit)
}

// Budget returns what the last answer told.
func (c *Client) Budget() Budget { return c.headers.budget }

// RefusedError says that Buildkite does not take the token.
type RefusedError struct{ Answer string }

// Error implements error.
func (e *RefusedError) Error() string { return "Buildkite refuses the token: " + e.Answer }

func (c *Client) ask(ctx context.Context, operation string, variables, into any) error {
	err := c.graphql.MakeRequest(ctx,
		&graphql.Request{OpName: operation, Query: operationText(operation), Variables: variables},
		&graphql.Response{Data: into})
	var status *graphql.HTTPError
	var list gqlerror.List
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status) && (status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden):
		return &RefusedError{Answer: fmt.Sprintf("HTTP status %d %s", status.StatusCode, status.Response.Errors.Error())}
	case errors.As(err, &status):
		return fmt.Errorf("%s answers with HTTP status %d: %s", c.endpoint, status.StatusCode, strings.TrimSpace(status.Response.Errors.Error()))
	case errors.As(err, &list):
		return fmt.Errorf("%s answers: %w", c.endpoint, err)
	default:
		return fmt.Errorf("cannot ask %s: %w", c.endpoint, err)
	}
}

// operationText cuts one query out of the file.
func operationText(name string) string {
	for text := range strings.SplitSeq(Operations, "\nquery ") {
		if strings.HasPrefix(text, name+"(") {
			return "query " + text
		}
	}
	panic("no query " + name)
}
