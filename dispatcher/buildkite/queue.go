package buildkite

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Khan/genqlient/graphql"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

const (
	// pauseInterval is how long a queue's paused state is taken for granted.
	pauseInterval = 10 * time.Second
	// searchInterval is the time between searches for a queue that is missing: a
	// search costs a point for each of the cluster's queues.
	searchInterval = time.Minute
)

// queueStates is what is known of the cluster's queues.
type queueStates struct {
	byKey      map[string]queueState
	defaultKey string
	checked    time.Time
	searched   time.Time
	// unaskable is set if queues cannot be asked for by their ids.
	unaskable bool
	// told is set once the log says which queue is polled for want of a name.
	told bool
}

// queueState is a queue that exists.
type queueState struct {
	id     string
	paused bool
}

// scopes returns a scope for each queue that is not paused. Queues outside a
// cluster cannot be paused. Scopes and an error come together when one of
// several queues does not exist. The queues' states are no older than age.
func (c *Client) scopes(ctx context.Context, age time.Duration) ([]scope, error) {
	if c.settings.ClusterUUID == "" {
		c.tellDefault("")
		scopes := unclusteredScopes(c.settings.Queues)
		c.remember(scopes)
		return scopes, nil
	}
	if err := c.checkQueues(ctx, time.Now(), age); err != nil {
		return nil, err
	}
	c.tellDefault(c.queues.defaultKey)
	cluster := globalID("Cluster", c.settings.ClusterUUID)
	var (
		scopes, all []scope
		missing     []string
	)
	for _, key := range c.queueKeys() {
		state, exists := c.queues.byKey[key]
		if !exists {
			missing = append(missing, key)
			continue
		}
		queue := scope{cluster: &cluster, queues: []string{state.id}}
		all = append(all, queue)
		if !state.paused {
			scopes = append(scopes, queue)
		}
	}
	c.remember(all)
	if len(missing) > 0 {
		return scopes, &dispatcher.Problem{
			Kind:   kindUnknownQueue,
			Advice: "the cluster has no queue " + strings.Join(missing, ", ") + ": create it, or correct --queue",
		}
	}
	return scopes, nil
}

// remember keeps the scope of all queues for those who ask for ended jobs.
func (c *Client) remember(scopes []scope) {
	if len(scopes) == 0 {
		c.everything.Store(nil)
		return
	}
	all := joined(scopes)
	c.everything.Store(&all)
}

// queueKeys returns the keys of the queues to poll. Agents of a cluster that
// name no queue are in its default queue, whatever that is called.
func (c *Client) queueKeys() []string {
	var keys []string
	for _, tags := range c.settings.Queues {
		key := tags.Queue()
		if _, exists := c.queues.byKey[key]; !exists && !namesQueue(tags) && c.queues.defaultKey != "" {
			key = c.queues.defaultKey
		}
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// tellDefault says, once, which queue is polled when none was chosen.
func (c *Client) tellDefault(clusterDefault string) {
	if c.queues.told {
		return
	}
	c.queues.told = true
	if !slices.ContainsFunc(c.settings.Queues, func(tags jobpod.Tags) bool { return !namesQueue(tags) }) {
		return
	}
	polled := jobpod.DefaultQueue
	if _, exists := c.queues.byKey[polled]; !exists && clusterDefault != "" {
		polled = clusterDefault
	}
	attributes := []any{slog.String("polled", polled)}
	if c.settings.ClusterUUID != "" {
		attributes = append(attributes, slog.String("cluster_default", clusterDefault))
	}
	c.log.Warn("no queue is set: name it with --queue", attributes...)
}

// checkQueues brings the queues' states up to date if they are older than age.
func (c *Client) checkQueues(ctx context.Context, now time.Time, age time.Duration) error {
	q := &c.queues
	if !q.checked.IsZero() && now.Sub(q.checked) < age {
		return nil
	}
	if q.byKey == nil || q.unaskable {
		return c.searchQueues(ctx, now)
	}
	before := maps.Clone(q.byKey)
	wasAnswered, err := c.askQueues(ctx)
	if err != nil {
		return err
	}
	q.checked = now
	if wasAnswered && (!c.isMissing() || now.Sub(q.searched) < searchInterval) {
		return nil
	}
	if err := c.searchQueues(ctx, now); err != nil {
		return err
	}
	// A queue that is still there under the id that was asked for in vain.
	q.unaskable = !wasAnswered && slices.ContainsFunc(c.queueKeys(), func(key string) bool {
		found, exists := q.byKey[key]
		return exists && before[key].id == found.id
	})
	return nil
}

func (c *Client) isMissing() bool {
	return slices.ContainsFunc(c.queueKeys(), func(key string) bool {
		_, exists := c.queues.byKey[key]
		return !exists
	})
}

// askQueues asks for the queues that are polled, a point each. It reports
// whether all are still there.
func (c *Client) askQueues(ctx context.Context) (bool, error) {
	var keys []string
	variables := map[string]string{}
	for _, key := range c.queueKeys() {
		if state, exists := c.queues.byKey[key]; exists {
			variables[queueVariable(len(keys))] = state.id
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return true, nil
	}
	var answer map[string]*struct {
		Key            string `json:"key"`
		DispatchPaused bool   `json:"dispatchPaused"`
	}
	request := &graphql.Request{OpName: "queueStates", Query: queuesQuery(len(keys)), Variables: variables}
	err := c.request(ctx, func(ctx context.Context) error {
		return c.graphql.MakeRequest(ctx, request, &graphql.Response{Data: &answer})
	})
	if err != nil && kindOf(err) != kindIncomplete {
		return false, err
	}
	isComplete := true
	for i, key := range keys {
		state := c.queues.byKey[key]
		if queue := answer[queueVariable(i)]; queue != nil && queue.Key == key {
			state.paused = queue.DispatchPaused
			c.queues.byKey[key] = state
			continue
		}
		isComplete = false
		if err == nil {
			delete(c.queues.byKey, key)
		}
	}
	if !isComplete && err != nil {
		return false, err
	}
	return isComplete, nil
}

func queuesQuery(count int) string {
	return aliasedQuery("queueStates", count, queueVariable, "node(id: $%s) { ... on ClusterQueue { key dispatchPaused } }")
}

func queueVariable(index int) string {
	return fmt.Sprintf("queue%d", index)
}

// searchQueues reads all of the cluster's queues.
func (c *Client) searchQueues(ctx context.Context, now time.Time) error {
	found := map[string]queueState{}
	defaultKey := ""
	var after *string
	for {
		cluster, err := c.queuePage(ctx, after)
		if err != nil {
			return err
		}
		if cluster.DefaultQueue != nil {
			defaultKey = cluster.DefaultQueue.Key
		}
		page := cluster.Queues
		for _, edge := range page.Edges {
			if edge != nil && edge.Node != nil && edge.Node.Key != "" {
				found[edge.Node.Key] = queueState{id: edge.Node.Id, paused: edge.Node.DispatchPaused}
			}
		}
		cursor := page.PageInfo.EndCursor
		if !page.PageInfo.HasNextPage || cursor == "" || (after != nil && *after == cursor) {
			break
		}
		after = &cursor
	}
	c.queues.byKey, c.queues.defaultKey = found, defaultKey
	c.queues.checked, c.queues.searched = now, now
	return nil
}

func (c *Client) queuePage(ctx context.Context, after *string) (*clusterQueuesOrganizationCluster, error) {
	var answer *clusterQueuesResponse
	err := c.request(ctx, func(ctx context.Context) (err error) {
		answer, err = clusterQueues(ctx, c.graphql, c.settings.Organization, globalID("Cluster", c.settings.ClusterUUID), after)
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
		return answer.Organization.Cluster, nil
	}
}
