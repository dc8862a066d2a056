package buildkite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/Khan/genqlient/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

// maxProblemBytes bounds what is quoted of an answer, which may be a proxy's
// page.
const maxProblemBytes = 300

// Kinds of problems that this package looks at itself.
const (
	// kindIncomplete is an answer with errors, and perhaps with data.
	kindIncomplete = "graphql-errors"
	// kindUnknownQueue is a queue that the cluster has not, or no longer.
	kindUnknownQueue = "unknown-queue"
	// kindTooComplex, kindTooLarge and kindTooSlow are mended by smaller pages.
	kindTooComplex = "too-complex"
	kindTooLarge   = "too-large"
	kindTooSlow    = "too-slow"
)

// tooComplex is what Buildkite says, with status 200, to a query that could cost
// more than it grants one query.
var tooComplex = regexp.MustCompile(`(?i)complexity.*\b(exceed|max|limit)|\b(exceed|max|limit).*complexity`)

// problem says what an error of a GraphQL request means and what to do.
func (c *Client) problem(err error) error {
	var (
		status *graphql.HTTPError
		list   gqlerror.List
		known  *dispatcher.Problem
		large  *http.MaxBytesError
		sent   *url.Error
		broken net.Error
	)
	switch {
	case errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &status):
		return c.statusProblem(status)
	case errors.As(err, &list):
		return listProblem(list)
	case errors.As(err, &large):
		return &dispatcher.Problem{Kind: kindTooLarge, Advice: fmt.Sprintf("Buildkite's answer is larger than %d MiB", maxAnswerBytes>>20), Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &dispatcher.Problem{Kind: kindTooSlow, Advice: "Buildkite does not answer in time: check the network to " + c.settings.Endpoint, Err: err}
	case errors.As(err, &sent), errors.As(err, &broken):
		return &dispatcher.Problem{Kind: "unreachable", Advice: "cannot reach " + c.settings.Endpoint + ": check the network and --graphql-endpoint", Err: err}
	default:
		return &dispatcher.Problem{Kind: "not-graphql", Advice: "the answer of " + c.settings.Endpoint + " is broken, or something between is in the way: check --graphql-endpoint and proxies", Err: err}
	}
}

func listProblem(list gqlerror.List) error {
	text := messages(list)
	if tooComplex.MatchString(text) {
		return &dispatcher.Problem{Kind: kindTooComplex, Advice: "Buildkite finds the query too complex", Err: errors.New(text)}
	}
	return &dispatcher.Problem{Kind: kindIncomplete, Advice: "Buildkite's answer is incomplete", Err: errors.New(text)}
}

func (c *Client) statusProblem(status *graphql.HTTPError) error {
	cause := fmt.Errorf("HTTP status %d: %s", status.StatusCode, messages(status.Response.Errors))
	switch {
	case status.StatusCode == http.StatusUnauthorized, status.StatusCode == http.StatusForbidden:
		return &dispatcher.Problem{Kind: "token-refused", Advice: "Buildkite refuses the API token: set --buildkite-token to one with GraphQL access to organization " + c.settings.Organization, Err: cause}
	case status.StatusCode == http.StatusTooManyRequests:
		return &dispatcher.Problem{
			Kind:       "rate-limited",
			Advice:     "Buildkite's rate limit is used up: give the dispatcher a token of a user of its own, or run fewer programs per token",
			RetryAfter: c.budget.blocked(time.Now()), Err: cause,
		}
	case status.StatusCode == http.StatusNotFound:
		return &dispatcher.Problem{Kind: "wrong-endpoint", Advice: "there is no GraphQL API at " + c.settings.Endpoint + ": check --graphql-endpoint", Err: cause}
	case status.StatusCode < http.StatusBadRequest:
		return &dispatcher.Problem{Kind: "wrong-endpoint", Advice: c.settings.Endpoint + " points elsewhere, which is not followed because of the token: set --graphql-endpoint to the final address", Err: cause}
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

// kindOf returns the kind of a Problem, or "".
func kindOf(err error) string {
	if problem, isProblem := errors.AsType[*dispatcher.Problem](err); isProblem {
		return problem.Kind
	}
	return ""
}
