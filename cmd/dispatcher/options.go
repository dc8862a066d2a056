package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher/buildkite"
)

// options is the configuration as people give it.
type options struct {
	org              string
	token            string
	tokenFile        string
	clusterUUID      string
	queue            string
	tags             []string
	graphqlEndpoint  string
	pollInterval     time.Duration
	image            string
	agentTokenSecret string
	agentToken       string
	agentTokenFile   string
	agentEndpoint    string
	namespace        string
	maxInFlight      int
	jobTTL           time.Duration
	concurrency      int
	controllerID     string
	kubeconfig       string
	context          string
	leaderElect      bool
	leaseNamespace   string
	httpAddress      string
	config           string
	debug            bool
	version          bool
	prohibitPlugin   bool
	permanentTrouble time.Duration
	pendingTimeout   time.Duration
	pullingTimeout   time.Duration

	// layers says where each option was set; options left alone are absent.
	layers map[string]layer
}

// option is one thing to configure, under the same name as flag and as key of
// the file, and as environment variable.
type option struct {
	name      string
	shorthand string
	// kind stands for the value in the help; empty means a switch.
	kind  string
	usage string
	// standard is the default as text; it is set like any other value.
	standard string
	// variable is the environment variable if it does not follow from the name.
	variable string
	// flagOnly options make no sense in a file or the environment.
	flagOnly bool
	set      func(target *options, text string) error
}

// group is a section of the help.
type group struct {
	title   string
	options []option
}

// env returns the option's environment variable, or "".
func (o option) env() string {
	switch {
	case o.flagOnly:
		return ""
	case o.variable != "":
		return o.variable
	default:
		return strings.ToUpper(strings.ReplaceAll(o.name, "-", "_"))
	}
}

// groups defines every option.
func groups() []group {
	return []group{
		{title: "Buildkite", options: buildkiteOptions()},
		{title: "Agents", options: agentOptions()},
		{title: "Kubernetes", options: kubernetesOptions()},
		{title: "This program", options: programOptions()},
	}
}

func buildkiteOptions() []option {
	return []option{
		{name: "org", kind: "slug", usage: "organization whose jobs to run, as in its URL; required", set: text(func(o *options) *string { return &o.org })},
		{name: "buildkite-token", kind: "token", usage: "API token with GraphQL access; required, here or as a file", set: text(func(o *options) *string { return &o.token })},
		{name: "buildkite-token-file", kind: "path", usage: "file with the API token, read again for each request", set: text(func(o *options) *string { return &o.tokenFile })},
		{name: "cluster-uuid", kind: "uuid", usage: "cluster of the queue; without it, jobs outside clusters", set: text(func(o *options) *string { return &o.clusterUUID })},
		{name: "tags", kind: "tags", usage: "comma-separated tags of the agents, such as queue=linux,docker,xcode=8; jobs that ask for more are left alone", standard: "queue=kubernetes", set: list(func(o *options) *[]string { return &o.tags })},
		{name: "queue", kind: "name", usage: "queue of the agents, in place of a queue tag", set: text(func(o *options) *string { return &o.queue })},
		{name: "poll-interval", kind: "duration", usage: "shortest time between polls for jobs", standard: "1s", set: duration(func(o *options) *time.Duration { return &o.pollInterval })},
		{name: "graphql-endpoint", kind: "url", usage: "GraphQL API", standard: buildkite.DefaultGraphQLEndpoint, set: text(func(o *options) *string { return &o.graphqlEndpoint })},
	}
}

func agentOptions() []option {
	return []option{
		{name: "image", kind: "image", usage: "agent image of the pods; without it, the mutator's", set: text(func(o *options) *string { return &o.image })},
		{name: "agent-token-secret", kind: "name", usage: "Secret with the agent token in the pods' namespace; without it, the mutator's", set: text(func(o *options) *string { return &o.agentTokenSecret })},
		{name: "agent-token-file", kind: "path", usage: "file with an agent token, to tell Buildkite why a job cannot run", variable: "BUILDKITE_AGENT_TOKEN_FILE", set: text(func(o *options) *string { return &o.agentTokenFile })},
		{name: "agent-token", kind: "token", usage: "the same token as text", variable: "BUILDKITE_AGENT_TOKEN", set: text(func(o *options) *string { return &o.agentToken })},
		{name: "agent-endpoint", kind: "url", usage: "Agent API", standard: buildkite.DefaultAgentEndpoint, set: text(func(o *options) *string { return &o.agentEndpoint })},
	}
}

func kubernetesOptions() []option {
	return []option{
		{name: "namespace", kind: "name", usage: "namespace of the jobs' pods", standard: "default", set: text(func(o *options) *string { return &o.namespace })},
		{name: "prohibit-kubernetes-plugin", usage: "fail jobs that have the kubernetes plugin, saying so", set: toggle(func(o *options) *bool { return &o.prohibitPlugin })},
		{name: "max-in-flight", kind: "count", usage: "most pods whose job has not ended; 0 is no limit", standard: "25", set: count(func(o *options) *int { return &o.maxInFlight })},
		{name: "job-ttl", kind: "duration", usage: "how long to keep a finished pod", standard: "10m", set: duration(func(o *options) *time.Duration { return &o.jobTTL })},
		{name: "pod-pending-timeout", kind: "duration", usage: "how long a pod may wait for a node, an image or a volume before its job fails", standard: "15m", set: duration(func(o *options) *time.Duration { return &o.pendingTimeout })},
		{name: "pod-pulling-timeout", kind: "duration", usage: "the same while its images are being pulled without an error", standard: "1h", set: duration(func(o *options) *time.Duration { return &o.pullingTimeout })},
		{name: "image-pull-backoff-grace-period", kind: "duration", usage: "how long a pod may have an image, Secret or ConfigMap that does not exist, or that it may not have, before its job fails", standard: "30s", set: duration(func(o *options) *time.Duration { return &o.permanentTrouble })},
		{name: "job-creation-concurrency", kind: "count", usage: "most pods to create at the same time", standard: "25", set: count(func(o *options) *int { return &o.concurrency })},
		{name: "controller-id", kind: "id", usage: "label value of this dispatcher's pods, unique in the namespace; without it, made of organization, cluster and queue", set: text(func(o *options) *string { return &o.controllerID })},
		{name: "kubeconfig", kind: "path", usage: "kubeconfig file; without it and --context, the cluster that the program runs in", set: text(func(o *options) *string { return &o.kubeconfig })},
		{name: "context", kind: "name", usage: "context of the kubeconfig file", set: text(func(o *options) *string { return &o.context })},
		{name: "leader-elect", usage: "dispatch only while holding a Lease, so that replicas can stand by (default: true inside a cluster, false with a kubeconfig file)", set: toggle(func(o *options) *bool { return &o.leaderElect })},
		{name: "lease-namespace", kind: "name", usage: "namespace of the Lease; without it, the program's own", set: text(func(o *options) *string { return &o.leaseNamespace })},
	}
}

func programOptions() []option {
	return []option{
		{name: "config", shorthand: "f", kind: "path", usage: "YAML file with any of these options as keys", set: text(func(o *options) *string { return &o.config })},
		{name: "debug", usage: "log more", set: toggle(func(o *options) *bool { return &o.debug })},
		{name: "http-address", kind: "address", usage: `where to serve /healthz, /readyz and /metrics; "none" for nowhere`, standard: ":8080", set: text(func(o *options) *string { return &o.httpAddress })},
		{name: "version", usage: "print the version and end", flagOnly: true, set: toggle(func(o *options) *bool { return &o.version })},
	}
}

func text(field func(*options) *string) func(*options, string) error {
	return func(target *options, value string) error {
		*field(target) = strings.TrimSpace(value)
		return nil
	}
}

func list(field func(*options) *[]string) func(*options, string) error {
	return func(target *options, value string) error {
		*field(target) = strings.Split(value, ",")
		return nil
	}
}

func count(field func(*options) *int) func(*options, string) error {
	return func(target *options, value string) error {
		number, err := strconv.Atoi(value)
		if err != nil || number < 0 {
			return fmt.Errorf("%q is not a number of 0 or more", value)
		}
		*field(target) = number
		return nil
	}
}

func duration(field func(*options) *time.Duration) func(*options, string) error {
	return func(target *options, value string) error {
		parsed, err := time.ParseDuration(value)
		if err != nil || parsed < 0 {
			return fmt.Errorf("%q is not a duration such as 30s or 10m", value)
		}
		*field(target) = parsed
		return nil
	}
}

func toggle(field func(*options) *bool) func(*options, string) error {
	return func(target *options, value string) error {
		parsed, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		*field(target) = parsed
		return nil
	}
}
