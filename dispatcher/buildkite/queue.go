package buildkite

import (
	"context"
	"sync"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

// pauseState remembers whether the queue is paused, because asking costs
// points for each of the cluster's queues.
type pauseState struct {
	mu      sync.Mutex
	paused  bool
	checked time.Time
}

// paused reports whether people have paused the queue. Queues outside a
// cluster cannot be paused.
func (c *Client) paused(ctx context.Context) (bool, error) {
	if c.settings.ClusterUUID == "" {
		return false, nil
	}
	c.pause.mu.Lock()
	defer c.pause.mu.Unlock()
	if !c.pause.checked.IsZero() && time.Since(c.pause.checked) < pauseInterval {
		return c.pause.paused, nil
	}
	paused, err := c.queuePaused(ctx)
	if err != nil {
		return false, err
	}
	c.pause.paused, c.pause.checked = paused, time.Now()
	return paused, nil
}

// queuePaused looks through the cluster's queues for ours.
func (c *Client) queuePaused(ctx context.Context) (bool, error) {
	var after *string
	for {
		page, err := c.queuePage(ctx, after)
		if err != nil {
			return false, err
		}
		for _, edge := range page.Edges {
			if edge != nil && edge.Node != nil && edge.Node.Key == c.settings.Tags.Queue() {
				return edge.Node.DispatchPaused, nil
			}
		}
		if cursor := page.PageInfo.EndCursor; page.PageInfo.HasNextPage && cursor != "" && (after == nil || *after != cursor) {
			after = &cursor
			continue
		}
		return false, &dispatcher.Problem{
			Kind:   "unknown-queue",
			Advice: "the cluster has no queue " + c.settings.Tags.Queue() + ": create it, or correct --queue",
		}
	}
}

func (c *Client) queuePage(ctx context.Context, after *string) (*queuePage, error) {
	var answer *clusterQueuesResponse
	err := c.request(ctx, func(ctx context.Context) (err error) {
		answer, err = clusterQueues(ctx, c.graphql, c.settings.Organization, c.clusterID(), after)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case answer.Organization == nil:
		return nil, c.unknownOrganization()
	case answer.Organization.Cluster == nil || answer.Organization.Cluster.Queues == nil:
		return nil, &dispatcher.Problem{
			Kind:   "unknown-cluster",
			Advice: "organization " + c.settings.Organization + " has no cluster " + c.settings.ClusterUUID + " that the token may see: correct --cluster-uuid",
		}
	default:
		return answer.Organization.Cluster.Queues, nil
	}
}
