package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/dispatcher/buildkite"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// namespaceFile tells a pod its own namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// configure makes the dispatcher's parts from options that were validated.
func configure(o options, log *slog.Logger) (dispatcher.Config, error) {
	cluster, inCluster, err := clusterConfig(o)
	if err != nil {
		return dispatcher.Config{}, err
	}
	clock := &dispatcher.ClusterClock{}
	cluster.Wrap(clock.Wrap)
	client, err := kubernetes.NewForConfig(cluster)
	if err != nil {
		return dispatcher.Config{}, fmt.Errorf("connect to the cluster: %w", err)
	}
	log.Info("using cluster", slog.String("server", cluster.Host), slog.String("context", o.context))
	token, agentToken := tokenSource(o.token, o.tokenFile), tokenSource(o.agentToken, o.agentTokenFile)
	jobs := buildkite.NewClient(buildkite.Settings{
		Endpoint:       o.graphqlEndpoint,
		RESTEndpoint:   o.restEndpoint,
		Token:          token,
		Organization:   o.org,
		ClusterUUID:    o.clusterUUID,
		Queues:         tagsOf(o.queues),
		BudgetShare:    o.budgetShare,
		RequestTimeout: o.requestTimeout,
		UserAgent:      userAgent(),
		Log:            log,
	})
	config := dispatcher.Config{
		Source:          jobs,
		States:          jobs,
		Annotator:       jobs,
		Cluster:         client,
		Clock:           clock,
		Queues:          queuesOf(o, agentToken),
		Limits:          limitsOf(o),
		Secrets:         secretsOf(token, agentToken),
		LeaseDuration:   o.leaseDuration,
		ProfilerAddress: o.profilerAddress,
		Log:             log,
	}
	if o.httpAddress != "none" {
		config.HTTPAddress = o.httpAddress
	}
	if isElected(o, inCluster) {
		config.LeaseName = "dispatcher-" + leaseSuffix(o.controllerID)
		config.LeaseNamespace, err = leaseNamespace(o)
	}
	return config, err
}

func tagsOf(queues []queueOptions) []jobpod.Tags {
	tags := make([]jobpod.Tags, len(queues))
	for i, queue := range queues {
		tags[i] = queue.tags
	}
	return tags
}

func queuesOf(o options, agentToken buildkite.TokenSource) []dispatcher.Queue {
	queues := make([]dispatcher.Queue, len(o.queues))
	for i, queue := range o.queues {
		queues[i] = dispatcher.Queue{
			Pods: jobpod.PodSettings{
				Namespace: queue.namespace, ControllerID: o.controllerID, Mutator: o.mutator, Tags: queue.tags,
				AgentImage: queue.image, AgentTokenSecret: queue.agentTokenSecret, ProhibitPlugin: queue.prohibitPlugin,
			},
			MaxInFlight: queue.maxInFlight,
			Failer:      &buildkite.Failer{Endpoint: o.agentEndpoint, Token: agentToken, Tags: queue.tags},
		}
	}
	return queues
}

func limitsOf(o options) dispatcher.Limits {
	return dispatcher.Limits{
		MaxInFlight: o.maxInFlight, Concurrency: o.concurrency, PollInterval: o.pollInterval, CancelInterval: o.cancelInterval,
		JobTTL: o.jobTTL, AnnotateAfter: o.annotateAfter,
		SharedQueues: o.sharedQueue, CompatibleStatus: o.failureStatus == statusCompatible,
		Patience: dispatcher.Patience{
			Permanent: o.permanentTrouble, Pending: o.pendingTimeout, Pulling: o.pullingTimeout, Agent: o.agentStartTimeout,
			Missing: o.missingTimeout, Unknown: o.unknownTimeout, Terminating: o.terminatingTimeout,
		},
	}
}

// secretsOf are the tokens that there are.
func secretsOf(tokens ...buildkite.TokenSource) []func() (string, error) {
	var secrets []func() (string, error)
	for _, token := range tokens {
		if token != nil {
			secrets = append(secrets, token)
		}
	}
	return secrets
}

// clusterConfig connects to the cluster of --kubeconfig and --context, or to
// the one that the program runs in. It never guesses: a laptop's current
// context may be anybody's production.
func clusterConfig(o options) (config *rest.Config, inCluster bool, err error) {
	if o.kubeconfig == "" && o.context == "" {
		config, err = rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			err = errors.New("--kubeconfig or --context: needed outside a cluster")
		}
		inCluster = true
	} else {
		overrides := &clientcmd.ConfigOverrides{CurrentContext: o.context}
		config, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(loadingRules(o.kubeconfig), overrides).ClientConfig()
		if err != nil {
			err = fmt.Errorf("--kubeconfig, --context: %w", err)
		}
	}
	if err != nil {
		return nil, false, err
	}
	// The API server shares its time out fairly by itself.
	config.QPS = -1
	config.UserAgent = userAgent()
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return config, inCluster, nil
}

// loadingRules say where the kubeconfig is: in one file, which must exist then,
// in a list of files as the variable of this name may hold, or where kubectl
// has it.
func loadingRules(kubeconfig string) *clientcmd.ClientConfigLoadingRules {
	switch paths := filepath.SplitList(kubeconfig); len(paths) {
	case 0:
		return clientcmd.NewDefaultClientConfigLoadingRules()
	case 1:
		return &clientcmd.ClientConfigLoadingRules{ExplicitPath: paths[0]}
	default:
		return &clientcmd.ClientConfigLoadingRules{Precedence: paths}
	}
}

// isElected reports whether to run leader election: as told, or else inside a
// cluster, where a rollout starts the new replica before the old one ends.
func isElected(o options, inCluster bool) bool {
	if _, isSet := o.layers["leader-elect"]; isSet {
		return o.leaderElect
	}
	return inCluster
}

// leaseSuffix makes an object's name of a label value.
func leaseSuffix(controllerID string) string {
	name := strings.ToLower(controllerID)
	return strings.Trim(strings.ReplaceAll(name, "_", "-"), "-.")
}

func leaseNamespace(o options) (string, error) {
	if o.leaseNamespace != "" {
		return o.leaseNamespace, nil
	}
	own, err := os.ReadFile(namespaceFile)
	switch {
	case err == nil:
		return strings.TrimSpace(string(own)), nil
	case errors.Is(err, os.ErrNotExist):
		return o.namespace, nil
	default:
		return "", fmt.Errorf("find the program's own namespace (or set --lease-namespace): %w", err)
	}
}

// tokenSource reads a token from its file each time, because a mounted Secret
// may change, or returns the text. It is nil without either.
func tokenSource(text, path string) buildkite.TokenSource {
	switch {
	case path != "":
		return func() (string, error) {
			data, err := os.ReadFile(path)
			if err != nil {
				return "", &dispatcher.Problem{Kind: "token-file", Advice: "cannot read a token", Err: err}
			}
			token := strings.TrimSpace(string(data))
			if token == "" {
				return "", &dispatcher.Problem{Kind: "token-file", Advice: "token file " + path + " is empty"}
			}
			return token, nil
		}
	case text != "":
		return func() (string, error) { return text, nil }
	default:
		return nil
	}
}

func userAgent() string {
	return "agent-stack-k8s-dispatcher/" + version
}
