package buildkite

import (
	"encoding/base64"
	"slices"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// scope is a part of the organization's jobs that a query can be about.
type scope struct {
	// rules are agent query rules: the listing returns jobs that have any of
	// them; whether agents meet all is for the dispatcher to check.
	rules []string
	// cluster and queues are global ids. A job of any of the queues is listed,
	// also one that names none and is in the cluster's default queue.
	cluster *string
	queues  []string
	// clustered is false for jobs outside clusters, or nil.
	clustered *bool
}

// joined returns the scope of all of them together.
func joined(scopes []scope) scope {
	all := scopes[0]
	all.rules, all.queues = slices.Clone(all.rules), slices.Clone(all.queues)
	for _, other := range scopes[1:] {
		all.rules = append(all.rules, other.rules...)
		all.queues = append(all.queues, other.queues...)
	}
	slices.Sort(all.rules)
	all.rules = slices.Compact(all.rules)
	return all
}

// sameScopes reports whether they list the same jobs.
func sameScopes(a, b []scope) bool {
	return slices.EqualFunc(a, b, func(a, b scope) bool {
		return slices.Equal(a.rules, b.rules) && slices.Equal(a.queues, b.queues)
	})
}

// globalID returns what GraphQL arguments take, while people and agents have
// UUIDs.
func globalID(kind, uuid string) string {
	return base64.StdEncoding.EncodeToString([]byte(kind + "---" + uuid))
}

// unclusteredScopes returns a scope for each queue outside clusters.
func unclusteredScopes(queues []jobpod.Tags) []scope {
	scopes := make([]scope, len(queues))
	for i, tags := range queues {
		scopes[i] = scope{rules: listRules(tags), clustered: new(bool)}
	}
	return scopes
}

// listRules returns what to ask the job listing for. Every job of a queue has
// the queue's rule. Without a queue tag the agents are in the default queue,
// whose jobs may have no queue rule, so each tag is asked for.
func listRules(tags jobpod.Tags) []string {
	queue := jobpod.Tag{Key: jobpod.QueueKey, Value: tags.Queue()}
	rules := []string{queue.String()}
	for _, tag := range tags {
		if tag.Key == jobpod.QueueKey {
			return rules[:1]
		}
		rules = append(rules, tag.String())
		if tag.Value == "true" {
			rules = append(rules, tag.Key)
		}
	}
	return rules
}

// namesQueue reports whether the tags have a queue among them.
func namesQueue(tags jobpod.Tags) bool {
	return slices.ContainsFunc(tags, func(tag jobpod.Tag) bool { return tag.Key == jobpod.QueueKey })
}
