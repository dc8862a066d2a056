package buildkite

import (
	"context"
	"encoding/base64"
)

// Organization is one that the token may see.
type Organization struct {
	Name string `json:"name"`
	Jobs struct {
		Count int `json:"count"`
	} `json:"jobs"`
}

// Organization looks one up by its slug, and counts its scheduled jobs, as the
// dispatcher does. It is nil if it does not exist or the token may not see it.
func (c *Client) Organization(ctx context.Context, slug string) (*Organization, error) {
	var answer struct {
		Organization *Organization `json:"organization"`
	}
	err := c.ask(ctx, "checkOrganization", map[string]any{"organization": slug}, &answer)
	return answer.Organization, err
}

// ClusterName is what tells a Buildkite cluster from others.
type ClusterName struct {
	UUID string `json:"uuid"`
	Name string `json:"name"`
}

// Clusters returns the first ten of an organization.
func (c *Client) Clusters(ctx context.Context, organization string) ([]ClusterName, error) {
	var answer struct {
		Organization *struct {
			Clusters *struct {
				Edges []struct {
					Node ClusterName `json:"node"`
				} `json:"edges"`
			} `json:"clusters"`
		} `json:"organization"`
	}
	if err := c.ask(ctx, "findClusters", map[string]any{"organization": organization}, &answer); err != nil {
		return nil, err
	}
	if answer.Organization == nil || answer.Organization.Clusters == nil {
		return nil, nil
	}
	var found []ClusterName
	for _, edge := range answer.Organization.Clusters.Edges {
		found = append(found, edge.Node)
	}
	return found, nil
}

// Queue is one of a cluster.
type Queue struct {
	Key    string `json:"key"`
	Paused bool   `json:"dispatchPaused"`
	Note   string `json:"dispatchPausedNote"`
}

// Cluster is a Buildkite cluster with its queues.
type Cluster struct {
	Name       string
	DefaultKey string
	Queues     []Queue
}

// Cluster looks one up by its UUID. It is nil if it does not exist or the token
// may not see it.
func (c *Client) Cluster(ctx context.Context, organization, uuid string) (*Cluster, error) {
	var found *Cluster
	var after *string
	for {
		var answer struct {
			Organization *struct {
				Cluster *struct {
					Name         string `json:"name"`
					DefaultQueue *struct {
						Key string `json:"key"`
					} `json:"defaultQueue"`
					Queues struct {
						Edges []struct {
							Node Queue `json:"node"`
						} `json:"edges"`
						PageInfo struct {
							HasNextPage bool   `json:"hasNextPage"`
							EndCursor   string `json:"endCursor"`
						} `json:"pageInfo"`
					} `json:"queues"`
				} `json:"cluster"`
			} `json:"organization"`
		}
		id := base64.StdEncoding.EncodeToString([]byte("Cluster---" + uuid))
		if err := c.ask(ctx, "findQueues", map[string]any{"organization": organization, "cluster": id, "after": after}, &answer); err != nil {
			return nil, err
		}
		if answer.Organization == nil || answer.Organization.Cluster == nil {
			return nil, nil //nolint:nilnil // "there is none" is an answer
		}
		page := answer.Organization.Cluster
		if found == nil {
			found = &Cluster{Name: page.Name}
		}
		if page.DefaultQueue != nil {
			found.DefaultKey = page.DefaultQueue.Key
		}
		for _, edge := range page.Queues.Edges {
			found.Queues = append(found.Queues, edge.Node)
		}
		if !page.Queues.PageInfo.HasNextPage || page.Queues.PageInfo.EndCursor == "" {
			return found, nil
		}
		after = &page.Queues.PageInfo.EndCursor
	}
}
