package buildkite

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

const restEndpoint = "https://api.buildkite.com/v2"

// Scopes returns what a token may do, from the REST API; an empty endpoint is
// Buildkite's own. https://buildkite.com/docs/apis/rest-api/access-token
func (c *Client) Scopes(ctx context.Context, endpoint string) ([]string, error) {
	address := strings.TrimSuffix(cmp.Or(endpoint, restEndpoint), "/") + "/access-token"
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for the token's scopes: %w", err)
	}
	response, err := (&headers{token: c.headers.token}).RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("ask for the token's scopes: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers with HTTP status %d", address, response.StatusCode)
	}
	var answer struct {
		Scopes []string `json:"scopes"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, response.Body, 1<<20)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("read the token's scopes: %w", err)
	}
	return answer.Scopes, nil
}
