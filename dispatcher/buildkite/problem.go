package buildkite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Khan/genqlient/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

// maxProblemBytes bounds what is quoted of an answer, which may be a proxy's
// page.
const maxProblemBytes = 300

// problem says what an error of a GraphQL request means and what to do.
func (c *Client) problem(err error) error {
	var (
		status *graphql.HTTPError
		list   gqlerror.List
		known  *dispatcher.Problem
	)
	switch {
	case errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &status):
		return c.statusProblem(status)
	case errors.As(err, &list):
		return &dispatcher.Problem{Kind: "graphql-errors", Advice: "Buildkite's answer is incomplete", Err: errors.New(messages(list))}
	default:
		return &dispatcher.Problem{Kind: "unreachable", Advice: "cannot reach " + c.settings.Endpoint + ": check the network and --graphql-endpoint", Err: err}
	}
}

func (c *Client) statusProblem(status *graphql.HTTPError) error {
	cause := fmt.Errorf("HTTP status %d: %s", status.StatusCode, messages(status.Response.Errors))
	switch status.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &dispatcher.Problem{Kind: "token-refused", Advice: "Buildkite refuses the API token: set --buildkite-token to one with GraphQL access to organization " + c.settings.Organization, Err: cause}
	case http.StatusTooManyRequests:
		// The budget knows how long to wait and holds the next request.
		return &dispatcher.Problem{Kind: "rate-limited", Advice: "Buildkite's rate limit is used up: fewer dispatchers per token, or a longer --poll-interval", RetryAfter: time.Second, Err: cause}
	case http.StatusNotFound:
		return &dispatcher.Problem{Kind: "wrong-endpoint", Advice: "there is no GraphQL API at " + c.settings.Endpoint + ": check --graphql-endpoint", Err: cause}
	default:
		return &dispatcher.Problem{Kind: "server", Advice: "Buildkite cannot answer at the moment", Err: cause}
	}
}

// unknownOrganization is what an answer without an organization means.
// Buildkite sends no error with it.
func (c *Client) unknownOrganization() error {
	return &dispatcher.Problem{
		Kind:   "unknown-organization",
		Advice: "organization " + c.settings.Organization + " does not exist or the token may not see it: correct --org (the slug in its URL) or --buildkite-token",
	}
}

// messages joins the messages of an answer's errors.
func messages(list gqlerror.List) string {
	texts := make([]string, len(list))
	for i, err := range list {
		texts[i] = strings.TrimSpace(err.Message)
	}
	text := strings.Join(texts, "; ")
	if len(text) > maxProblemBytes {
		return strings.ToValidUTF8(text[:maxProblemBytes], "") + "…"
	}
	return text
}
