package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/installation"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// defaultTokenSecret is the mutator's default.
const defaultTokenSecret = "buildkite-agent-token"

// checkAgentTokens looks for the Secret with the agent token in each namespace of
// jobs.
func (d *doctor) checkAgentTokens(ctx context.Context) {
	standard := defaultTokenSecret
	if d.found.Mutator != nil && d.found.Mutator.Config != nil {
		standard = cmp.Or(d.found.Mutator.Config.AgentTokenSecret, standard)
	}
	type reference struct{ namespace, name string }
	var wanted []reference
	add := func(namespace, name string) {
		if each := (reference{namespace, cmp.Or(name, standard)}); !slices.Contains(wanted, each) {
			wanted = append(wanted, each)
		}
	}
	for _, dispatcher := range d.found.Dispatchers {
		for _, queue := range dispatcher.Queues {
			add(queue.Namespace, queue.AgentTokenSecret)
		}
	}
	for _, namespace := range d.namespaces {
		if !slices.ContainsFunc(wanted, func(r reference) bool { return r.namespace == namespace.Name }) {
			add(namespace.Name, "")
		}
	}
	for _, each := range wanted {
		d.checkAgentToken(ctx, each.namespace, each.name)
	}
}

func (d *doctor) checkAgentToken(ctx context.Context, namespace, name string) {
	place := d.at("agent-token", "Secret "+namespace+"/"+name)
	create := fmt.Sprintf("kubectl -n %s create secret generic %s --from-literal=%s=…, with a token of the Buildkite cluster", namespace, name, contract.TokenKey)
	var secret corev1.Secret
	switch err := d.client.Get(ctx, &secret, cluster.Core(namespace, "secrets", name)); {
	case installation.IsNotFound(err):
		place.failf(create, "is not there, so the agents of pods in this namespace cannot start")
	case err != nil:
		place.unseen(err)
	case len(secret.Data[contract.TokenKey]) == 0:
		place.failf("Delete it, and "+create, "has no key %s, or an empty one, so agents cannot start; it has %s", contract.TokenKey, keysOf(&secret))
	case strings.TrimSpace(string(secret.Data[contract.TokenKey])) != string(secret.Data[contract.TokenKey]):
		place.warnf("Delete it, and "+create, "the token has a space or a line break before or after it")
	default:
		place.okf("has the agent token")
	}
}

// keysOf names a Secret's keys, and no more.
func keysOf(secret *corev1.Secret) string {
	if len(secret.Data) == 0 {
		return "none"
	}
	var keys []string
	for key := range secret.Data {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}
