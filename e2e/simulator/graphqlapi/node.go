package graphqlapi

import (
	graphql "github.com/graph-gophers/graphql-go"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// node resolves the interface Node: exactly one of its fields is set.
type node struct {
	id           graphql.ID
	organization *organization
	cluster      *cluster
	queue        *queue
	job          *job
	build        *build
}

// Node finds by global id. It returns null for one that does not exist, and for
// the kinds that no client of the simulator looks up so.
func (r *root) Node(args struct{ ID graphql.ID }) *node {
	id := string(args.ID)
	if uuid, ok := state.ParseGlobalID("ClusterQueue", id); ok {
		for _, found := range r.store.Clusters() {
			in := &cluster{Cluster: found, store: r.store}
			if queue := in.queue(func(q state.Queue) bool { return q.UUID == uuid }); queue != nil {
				return &node{id: args.ID, queue: queue}
			}
		}
		return nil
	}
	if uuid, ok := state.ParseGlobalID("Cluster", id); ok {
		if found := findCluster(r.store, uuid); found != nil {
			return &node{id: args.ID, cluster: found}
		}
		return nil
	}
	if uuid, ok := state.ParseGlobalID("Job", id); ok {
		if found, ok := r.store.Job(uuid); ok {
			return &node{id: args.ID, job: &job{Job: found, store: r.store}}
		}
		return nil
	}
	if uuid, ok := state.ParseGlobalID("Build", id); ok {
		if found := findBuild(r.store, uuid); found != nil {
			return &node{id: args.ID, build: found}
		}
		return nil
	}
	if uuid, ok := state.ParseGlobalID("Organization", id); ok && uuid == r.store.Organization().UUID {
		return &node{id: args.ID, organization: findOrganization(r.store)}
	}
	return nil
}

func (n *node) ID() graphql.ID { return n.id }

func (n *node) ToOrganization() (*organization, bool) { return n.organization, n.organization != nil }
func (n *node) ToCluster() (*cluster, bool)           { return n.cluster, n.cluster != nil }
func (n *node) ToClusterQueue() (*queue, bool)        { return n.queue, n.queue != nil }
func (n *node) ToBuild() (*build, bool)               { return n.build, n.build != nil }

func (n *node) ToJobTypeCommand() (*commandJob, bool) {
	if n.job == nil {
		return nil, false
	}
	return n.job.ToJobTypeCommand()
}

func (n *node) ToJobTypeWait() (*waitJob, bool) {
	if n.job == nil {
		return nil, false
	}
	return n.job.ToJobTypeWait()
}

// The library wants a method for every kind.

func (n *node) ToViewer() (*viewer, bool)             { return nil, false }
func (n *node) ToUser() (*user, bool)                 { return nil, false }
func (n *node) ToAgent() (*agent, bool)               { return nil, false }
func (n *node) ToPipeline() (*pipelineNode, bool)     { return nil, false }
func (n *node) ToAnnotation() (*annotation, bool)     { return nil, false }
func (n *node) ToJobTypeBlock() (*blockJob, bool)     { return nil, false }
func (n *node) ToJobTypeTrigger() (*triggerJob, bool) { return nil, false }
