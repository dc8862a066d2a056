package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/buildkite"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/installation"
)

// checkBuildkite tries each dispatcher's token, and looks at its queues.
func (d *doctor) checkBuildkite(ctx context.Context) {
	for _, dispatcher := range d.found.Dispatchers {
		d.checkAPI(ctx, dispatcher)
	}
}

func (d *doctor) checkAPI(ctx context.Context, dispatcher *installation.Dispatcher) {
	place := d.at("buildkite", "API token of "+dispatcher.Name())
	if secret, key := dispatcher.TokenReference("buildkite-token-file"); secret != "" {
		place.where = fmt.Sprintf("Secret %s/%s, key %s", dispatcher.Deployment.Namespace, secret, key)
	}
	token := d.token
	if token == "" {
		var err error
		if token, err = dispatcher.Token(ctx, d.client, "buildkite-token"); err != nil {
			if installation.IsForbidden(err) {
				place.unknownf("Give a token with --buildkite-token or $BUILDKITE_TOKEN.", "could not be read: %v", err)
				return
			}
			place.failf("Create the Secret with the API token: see manifests/README.md.", "%v", err)
			return
		}
	}
	client := buildkite.New(dispatcher.Setting("graphql-endpoint"), token)
	slug := dispatcher.Setting("org")
	organization, err := client.Organization(ctx, slug)
	if refused, isRefusal := errors.AsType[*buildkite.RefusedError](err); isRefusal {
		place.failf("Make a token at https://buildkite.com/user/api-access-tokens with GraphQL access to the organization, and replace the Secret's key.",
			"Buildkite refuses it: %s", refused.Answer)
		return
	}
	if err != nil {
		place.unknownf("Check the network from here to Buildkite, or run this where the dispatcher runs.", "%v", err)
		return
	}
	if organization == nil {
		place.failf("Correct org in the dispatcher's configuration (the slug in the organization's URL), or the token.",
			"the organization %s does not exist, or the token may not see it", slug)
		return
	}
	place.okf("Buildkite takes it; organization %s has %s", organization.Name, count(organization.Jobs.Count, "scheduled job"))
	d.checkBudget(place, client)
	d.checkScopes(ctx, place, client, dispatcher)
	d.checkQueues(ctx, client, dispatcher)
}

// checkBudget looks at the points that are left in this window.
func (d *doctor) checkBudget(at place, client *buildkite.Client) {
	budget := client.Budget()
	at.check = "budget"
	for _, counter := range []struct {
		whose       string
		left, limit int
	}{{"the token's user", budget.Left, budget.Limit}, {"the organization", budget.OrganizationLeft, budget.OrganizationLimit}} {
		switch {
		case counter.limit == 0:
		case counter.left*5 < counter.limit:
			at.warnf("Give the dispatcher a token of a user of its own, or run fewer programs with it.",
				"%d of %d GraphQL points of %s are left in these five minutes: jobs are looked for less often", counter.left, counter.limit, counter.whose)
		default:
			at.okf("%d of %d GraphQL points of %s are left in these five minutes", counter.left, counter.limit, counter.whose)
		}
	}
}

// checkScopes looks at what the token may do beside GraphQL.
func (d *doctor) checkScopes(ctx context.Context, at place, client *buildkite.Client, dispatcher *installation.Dispatcher) {
	at.check = "scopes"
	scopes, err := client.Scopes(ctx, dispatcher.Setting("rest-endpoint"))
	if err != nil {
		at.unknownf("See its scopes at https://buildkite.com/user/api-access-tokens.", "its scopes could not be read: %v", err)
		return
	}
	var missing []string
	for _, scope := range []string{"read_builds", "write_builds"} {
		if !slices.Contains(scopes, scope) {
			missing = append(missing, scope)
		}
	}
	switch {
	case len(scopes) > 0 && !slices.Contains(scopes, "graphql"):
		at.failf("Give the token GraphQL access.", "it has no scope graphql")
	case len(missing) > 0:
		at.warnf("Add them to the token if annotations should go away.", "it lacks %s: annotations of builds that say what a job waits for stay when it runs", strings.Join(missing, " and "))
	default:
		at.okf("it has graphql, read_builds and write_builds")
	}
}

// checkUnclustered looks at whether a dispatcher without a Buildkite cluster may
// have jobs at all: where there are clusters, pipelines mostly belong to one.
func (d *doctor) checkUnclustered(ctx context.Context, client *buildkite.Client, dispatcher *installation.Dispatcher) {
	place := d.at("queue", "dispatcher "+dispatcher.Name())
	clusters, err := client.Clusters(ctx, dispatcher.Setting("org"))
	if err != nil {
		place.unknownf("", "serves jobs outside Buildkite's clusters; whether the organization has clusters could not be asked: %v", err)
		return
	}
	if len(clusters) == 0 {
		place.okf("serves jobs outside Buildkite's clusters, of which the organization has none")
		return
	}
	names := make([]string, len(clusters))
	for i, cluster := range clusters {
		names[i] = cluster.Name + " " + cluster.UUID
	}
	place.warnf("Set cluster-uuid in the dispatcher's configuration to the one of its queues: "+strings.Join(names, ", ")+".",
		"serves jobs outside Buildkite's clusters only, and the organization has clusters: jobs of their pipelines stay scheduled")
}

// checkQueues looks at whether a dispatcher's queues are there, and not paused.
func (d *doctor) checkQueues(ctx context.Context, client *buildkite.Client, dispatcher *installation.Dispatcher) {
	uuid := dispatcher.Setting("cluster-uuid")
	if uuid == "" {
		d.checkUnclustered(ctx, client, dispatcher)
		return
	}
	place := d.at("queue", "Buildkite cluster "+uuid)
	found, err := client.Cluster(ctx, dispatcher.Setting("org"), uuid)
	if err != nil {
		place.unknownf("", "%v", err)
		return
	}
	if found == nil {
		place.failf("Correct cluster-uuid in the dispatcher's configuration: it is on the cluster's settings page.", "does not exist, or the token may not see it")
		return
	}
	for _, queue := range dispatcher.Queues {
		place := d.at("queue", "Buildkite queue "+queue.Name())
		index := slices.IndexFunc(found.Queues, func(q buildkite.Queue) bool { return q.Key == queue.Name() })
		switch {
		case index < 0:
			place.failf("Create it in the cluster, or correct queue in the dispatcher's configuration.", "does not exist in the cluster %s", found.Name)
		case found.Queues[index].Paused:
			note := ""
			if found.Queues[index].Note != "" {
				note = ": " + found.Queues[index].Note
			}
			place.failf("Resume it on the queue's page in Buildkite.", "is paused%s: its jobs wait", note)
		default:
			place.okf("is there, and not paused")
		}
	}
}
