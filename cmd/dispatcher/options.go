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
	mutator          string
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

	agentStartTimeout  time.Duration
	missingTimeout     time.Duration
	unknownTimeout     time.Duration
	terminatingTimeout time.Duration
	cancelInterval     time.Duration
	annotateAfter      time.Duration
	requestTimeout     time.Duration
	leaseDuration      time.Duration
	restEndpoint       string
	budgetShare        float64
	sharedQueue        bool
	failureStatus      string
	profilerAddress    string
	logFormat          string

	// entries is the file's list of queues; queues is what follows from it, or
	// from the options for one.
	entries []queueEntry
	queues  []queueOptions

	// layers says where each option was set; options left alone are absent.
	layers map[string]layer
	// ignored are options of the existing stack's that have no effect here.
	ignored []ignoredOption
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
	// fileOnly options are too large for a flag.
	fileOnly bool
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
	case o.flagOnly, o.fileOnly:
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
		{name: "queues", kind: "list", fileOnly: true, usage: "several queues in place of one: objects with the keys queue or tags, namespace, max-in-flight, image, agent-token-secret and prohibit-kubernetes-plugin; what an entry leaves out is as the option of the same name", set: queueList},
		{name: "shared-queue", usage: "other clusters serve the same queues: leave a job scheduled that only this cluster cannot run", set: toggle(func(o *options) *bool { return &o.sharedQueue })},
		{name: "poll-interval", kind: "duration", usage: "time between polls for jobs; less while more wait than a poll lists", standard: "1s", set: duration(func(o *options) *time.Duration { return &o.pollInterval })},
		{name: "graphql-endpoint", kind: "url", usage: "GraphQL API", standard: buildkite.DefaultGraphQLEndpoint, set: text(func(o *options) *string { return &o.graphqlEndpoint })},
		{name: "graphql-budget-share", kind: "share", usage: "part of the organization's GraphQL points that may be used; of the API token's own points it is always 0.8 at most", standard: "0.5", set: fraction(func(o *options) *float64 { return &o.budgetShare })},
		{name: "rest-endpoint", kind: "url", usage: "REST API, to remove build annotations", standard: buildkite.DefaultRESTEndpoint, set: text(func(o *options) *string { return &o.restEndpoint })},
		{name: "buildkite-request-timeout", kind: "duration", usage: "how long one request to Buildkite may take", standard: "1m", set: duration(func(o *options) *time.Duration { return &o.requestTimeout })},
		{name: "job-cancel-checker-poll-interval", kind: "duration", usage: "time between looks for cancelled jobs whose pod has not begun, while few wait", standard: "5s", set: duration(func(o *options) *time.Duration { return &o.cancelInterval })},
		{name: "annotate-after", kind: "duration", usage: "how long a job waits before an annotation of its build says what for; 0 is never", standard: "30s", set: duration(func(o *options) *time.Duration { return &o.annotateAfter })},
		{name: "failure-exit-status", kind: "choice", usage: "distinct: jobs that cannot run end with a status that tells why; compatible: all with -1", standard: statusDistinct, set: text(func(o *options) *string { return &o.failureStatus })},
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
		{name: "max-in-flight", kind: "count", usage: "most pods, of all queues, whose job has not ended; 0 is no limit", standard: "25", set: count(func(o *options) *int { return &o.maxInFlight })},
		{name: "job-ttl", kind: "duration", usage: "how long to keep a finished pod", standard: "10m", set: duration(func(o *options) *time.Duration { return &o.jobTTL })},
		{name: "pod-pending-timeout", kind: "duration", usage: "how long a pod may wait for a node, an image or a volume before its job fails", standard: "15m", set: duration(func(o *options) *time.Duration { return &o.pendingTimeout })},
		{name: "pod-pulling-timeout", kind: "duration", usage: "the same while its images are being pulled without an error", standard: "1h", set: duration(func(o *options) *time.Duration { return &o.pullingTimeout })},
		{name: "image-pull-backoff-grace-period", kind: "duration", usage: "how long a pod may have an image, Secret or ConfigMap that does not exist, or that it may not have, before its job fails", standard: "30s", set: duration(func(o *options) *time.Duration { return &o.permanentTrouble })},
		{name: "agent-start-timeout", kind: "duration", usage: "how long a pod's agent may take to begin its job once all containers have started", standard: "10m", set: duration(func(o *options) *time.Duration { return &o.agentStartTimeout })},
		{name: "missing-object-timeout", kind: "duration", usage: "how long a job waits for a ServiceAccount or PodTemplate that does not exist before it fails", standard: "1m", set: duration(func(o *options) *time.Duration { return &o.missingTimeout })},
		{name: "unknown-refusal-timeout", kind: "duration", usage: "how long a job waits that the cluster refuses for a reason unknown to this program before it fails", standard: "10m", set: duration(func(o *options) *time.Duration { return &o.unknownTimeout })},
		{name: "terminating-pod-timeout", kind: "duration", usage: "how long after its grace period a deleted pod may stay, as on a node that is gone, before it is deleted by force; 0 is for ever", standard: "10m", set: duration(func(o *options) *time.Duration { return &o.terminatingTimeout })},
		{name: "job-creation-concurrency", kind: "count", usage: "most pods to create at the same time", standard: "25", set: count(func(o *options) *int { return &o.concurrency })},
		{name: "controller-id", kind: "id", usage: "label value of this dispatcher's pods, unique in the namespace; without it, made of organization, cluster and queue", set: text(func(o *options) *string { return &o.controllerID })},
		{name: "mutator", kind: "name", usage: "installation of the mutator that is to inject, in a cluster that has several; without it, the default one", set: text(func(o *options) *string { return &o.mutator })},
		{name: "kubeconfig", kind: "path", usage: "kubeconfig file; without it and --context, the cluster that the program runs in", set: text(func(o *options) *string { return &o.kubeconfig })},
		{name: "context", kind: "name", usage: "context of the kubeconfig file", set: text(func(o *options) *string { return &o.context })},
		{name: "leader-elect", usage: "dispatch only while holding a Lease, so that replicas can stand by (default: true inside a cluster, false with a kubeconfig file)", set: toggle(func(o *options) *bool { return &o.leaderElect })},
		{name: "lease-duration", kind: "duration", usage: "how long a leader that died keeps the others waiting, at most", standard: "15s", set: duration(func(o *options) *time.Duration { return &o.leaseDuration })},
		{name: "lease-namespace", kind: "name", usage: "namespace of the Lease; without it, the program's own", set: text(func(o *options) *string { return &o.leaseNamespace })},
	}
}

func programOptions() []option {
	return []option{
		{name: "config", shorthand: "f", kind: "path", usage: "YAML file with any of these options as keys", set: text(func(o *options) *string { return &o.config })},
		{name: "debug", usage: "log more", set: toggle(func(o *options) *bool { return &o.debug })},
		{name: "http-address", kind: "address", usage: `where to serve /healthz, /readyz and /metrics; "none" for nowhere`, standard: ":8080", set: text(func(o *options) *string { return &o.httpAddress })},
		{name: "log-format", kind: "choice", usage: "text or json", standard: formatText, set: logFormat},
		{name: "profiler-address", kind: "address", usage: "where to serve /debug/pprof, such as localhost:6060; without it, nowhere", set: text(func(o *options) *string { return &o.profilerAddress })},
		{name: "version", usage: "print the version and end", flagOnly: true, set: toggle(func(o *options) *bool { return &o.version })},
	}
}

func text(field func(*options) *string) func(*options, string) error {
	return func(target *options, value string) error {
		*field(target) = strings.TrimSpace(value)
		return nil
	}
}

// logFormat takes the existing stack's name for text as well.
func logFormat(target *options, value string) error {
	if value == formatLogfmt {
		value = formatText
	}
	return text(func(o *options) *string { return &o.logFormat })(target, value)
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

func fraction(field func(*options) *float64) func(*options, string) error {
	return func(target *options, value string) error {
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number such as 0.5", value)
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
