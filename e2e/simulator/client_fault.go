package simulator

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// AddFaults appends to the script of faults and returns them with their IDs.
func (c *Client) AddFaults(ctx context.Context, faults ...Fault) ([]Fault, error) {
	return send[[]Fault](ctx, c, http.MethodPost, "faults", faults)
}

// Faults returns the script with its counts.
func (c *Client) Faults(ctx context.Context) ([]Fault, error) {
	return send[[]Fault](ctx, c, http.MethodGet, "faults", nil)
}

// RemoveFault ends a fault; with an empty ID, all. It returns them with their
// counts.
func (c *Client) RemoveFault(ctx context.Context, id string) ([]Fault, error) {
	path := "faults"
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	return send[[]Fault](ctx, c, http.MethodDelete, path, nil)
}

// WaitForFault waits until a fault has happened so often, or ctx.
func (c *Client) WaitForFault(ctx context.Context, id string, hits int) (Fault, error) {
	return wait(ctx, func() (Fault, bool, error) {
		faults, err := c.Faults(ctx)
		at := slices.IndexFunc(faults, func(f Fault) bool { return f.ID == id })
		if err != nil || at < 0 {
			return Fault{}, false, errorOr(err, fmt.Errorf("no fault %q", id))
		}
		return faults[at], faults[at].Hits >= hits, nil
	})
}

func errorOr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// Usage returns what GraphQL queries have cost.
func (c *Client) Usage(ctx context.Context) (Usage, error) {
	return send[Usage](ctx, c, http.MethodGet, "graphql", nil)
}

// SetLimits changes the limits on GraphQL queries and begins new windows.
func (c *Client) SetLimits(ctx context.Context, limits Limits) (Usage, error) {
	return send[Usage](ctx, c, http.MethodPost, "graphql/limits", limits)
}

// SetToken adds or revokes a token.
func (c *Client) SetToken(ctx context.Context, request TokenRequest) error {
	_, err := send[struct{}](ctx, c, http.MethodPost, "tokens", request)
	return err
}
