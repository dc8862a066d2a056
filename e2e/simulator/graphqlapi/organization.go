package graphqlapi

import (
	"slices"
	"strings"

	graphql "github.com/graph-gophers/graphql-go"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

type organization struct {
	state.Organization
	store *state.Store
}

func (o *organization) ID() graphql.ID { return globalID("Organization", o.Organization.UUID) }
func (o *organization) UUID() string   { return o.Organization.UUID }
func (o *organization) Slug() string   { return o.Organization.Slug }
func (o *organization) Name() string   { return o.Organization.Slug }

func findOrganization(store *state.Store) *organization {
	return &organization{Organization: store.Organization(), store: store}
}

func (o *organization) Cluster(args struct{ ID graphql.ID }) *cluster {
	uuid, ok := state.ParseGlobalID("Cluster", string(args.ID))
	if !ok {
		return nil
	}
	return findCluster(o.store, uuid)
}

type orderedPage struct {
	pageArguments
	Order choice
}

func (o *organization) Clusters(args orderedPage) (*connection[*cluster], error) {
	clusters := o.store.Clusters()
	paged, err := state.Paginate(clusters, func(c state.Cluster) string { return c.Name }, args.page())
	return connect(paged, func(c state.Cluster) *cluster { return &cluster{Cluster: c, store: o.store} }), err
}

type jobsArguments struct {
	pageArguments
	AgentQueryRules *[]string
	Order           choice
	Passed          *bool
	Priority        *struct{ Number *[]int32 }
	State           *[]string
	Step            *struct{ Key *[]string }
	Type            *[]string
}

func (a jobsArguments) filter() state.Filter {
	filter := state.Filter{Rules: valueOf(a.AgentQueryRules), Passed: a.Passed, ByAssignment: a.Order == "RECENTLY_ASSIGNED"}
	for _, name := range valueOf(a.State) {
		filter.States = append(filter.States, state.State(strings.ToLower(name)))
	}
	for _, name := range valueOf(a.Type) {
		filter.Types = append(filter.Types, strings.ToLower(name))
	}
	if a.Priority != nil {
		filter.Priorities = wholes(a.Priority.Number)
	}
	if a.Step != nil {
		filter.StepKeys = valueOf(a.Step.Key)
	}
	return filter
}

type organizationJobs struct {
	jobsArguments
	Cluster       *graphql.ID
	ClusterQueue  *[]graphql.ID
	Clustered     graphql.NullBool
	Concurrency   *struct{ Group *[]string }
	CreatedAtFrom *dateTime
	CreatedAtTo   *dateTime
	FinishedAt    *dateTime
}

func (o *organization) Jobs(args organizationJobs) (*connection[*job], error) {
	filter := args.filter()
	filter.CreatedFrom, filter.CreatedTo, filter.FinishedOn = timeOf(args.CreatedAtFrom), timeOf(args.CreatedAtTo), timeOf(args.FinishedAt)
	filter.OutsideClusters = args.Clustered.Value != nil && !*args.Clustered.Value
	// No job of the simulator is in a concurrency group.
	filter.None = args.Concurrency != nil && len(valueOf(args.Concurrency.Group)) > 0
	if args.Cluster != nil {
		uuid, ok := state.ParseGlobalID("Cluster", string(*args.Cluster))
		filter.ClusterUUID, filter.None = uuid, filter.None || !ok
	}
	for _, id := range valueOf(args.ClusterQueue) {
		uuid, ok := state.ParseGlobalID("ClusterQueue", string(id))
		filter.QueueUUIDs, filter.None = append(filter.QueueUUIDs, uuid), filter.None || !ok
	}
	return listJobs(o.store, filter, args.page())
}

func listJobs(store *state.Store, filter state.Filter, page state.Page) (*connection[*job], error) {
	paged, err := store.ListJobs(filter, page)
	return connect(paged, func(j state.Job) *job { return &job{Job: j, store: store} }), err
}

type cluster struct {
	state.Cluster
	store *state.Store
}

func findCluster(store *state.Store, uuid string) *cluster {
	clusters := store.Clusters()
	at := slices.IndexFunc(clusters, func(c state.Cluster) bool { return c.UUID == uuid })
	if at < 0 {
		return nil
	}
	return &cluster{Cluster: clusters[at], store: store}
}

func (c *cluster) ID() graphql.ID              { return globalID("Cluster", c.Cluster.UUID) }
func (c *cluster) UUID() graphql.ID            { return graphql.ID(c.Cluster.UUID) }
func (c *cluster) Name() string                { return c.Cluster.Name }
func (c *cluster) Description() *string        { return nil }
func (c *cluster) Organization() *organization { return findOrganization(c.store) }

func (c *cluster) DefaultQueue() *queue {
	return c.queue(func(q state.Queue) bool { return q.Key == c.Cluster.DefaultQueue })
}

func (c *cluster) queue(is func(state.Queue) bool) *queue {
	at := slices.IndexFunc(c.Cluster.Queues, is)
	if at < 0 {
		return nil
	}
	return &queue{Queue: c.Cluster.Queues[at], cluster: c}
}

func (c *cluster) Queues(args orderedPage) (*connection[*queue], error) {
	paged, err := state.Paginate(c.Cluster.Queues, func(q state.Queue) string { return q.Key }, args.page())
	return connect(paged, func(q state.Queue) *queue { return &queue{Queue: q, cluster: c} }), err
}

type queue struct {
	state.Queue
	cluster *cluster
}

func (q *queue) ID() graphql.ID              { return globalID("ClusterQueue", q.Queue.UUID) }
func (q *queue) UUID() graphql.ID            { return graphql.ID(q.Queue.UUID) }
func (q *queue) Key() string                 { return q.Queue.Key }
func (q *queue) Description() *string        { return nil }
func (q *queue) Cluster() *cluster           { return q.cluster }
func (q *queue) DispatchPaused() bool        { return q.Queue.DispatchPaused }
func (q *queue) DispatchPausedAt() *dateTime { return moment(q.PausedAt) }
func (q *queue) DispatchPausedNote() *string { return optional(q.Note) }
