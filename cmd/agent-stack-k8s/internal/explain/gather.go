package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/buildkite"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/installation"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/terminal"
	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// gatherer finds out about a job.
type gatherer struct {
	client  *cluster.Client
	options options
	facts   Facts
	found   *installation.Installation
}

// gather collects what can be known. The error says that the cluster did not
// answer, or that a pod that was named is not there.
func (g *gatherer) gather(ctx context.Context, target target) (Facts, error) {
	g.facts.Now, g.facts.UUID = terminal.Now(), target.uuid
	if err := g.findPod(ctx, target); err != nil {
		return g.facts, err
	}
	if pod := g.facts.Pod; pod != nil {
		g.facts.UUID = pod.Labels[contract.JobUUIDLabel]
		g.readEvents(ctx)
	}
	var err error
	if g.found, err = installation.Find(ctx, g.client, ""); err != nil {
		g.notef("the installation could not be looked at: %v", err)
	}
	if g.facts.UUID == "" {
		return g.facts, nil
	}
	g.askBuildkite(ctx)
	g.readDispatchers(ctx)
	return g.facts, nil
}

func (g *gatherer) notef(format string, arguments ...any) {
	g.facts.Looked = append(g.facts.Looked, fmt.Sprintf(format, arguments...))
}

func (g *gatherer) findPod(ctx context.Context, target target) error {
	if target.uuid == "" || target.namespace != "" {
		namespace := cmp.Or(target.namespace, g.options.namespace, g.client.Namespace)
		var pod corev1.Pod
		err := g.client.Get(ctx, &pod, cluster.Core(namespace, "pods", target.pod))
		if installation.IsNotFound(err) && target.namespace == "" && g.options.namespace == "" {
			namespace, err = g.findPodNamed(ctx, target.pod, namespace, &pod, err)
		}
		if installation.IsNotFound(err) && target.uuid == "" {
			return fmt.Errorf("there is no pod %s in the namespace %s; name another with -n, or give the job's UUID", target.pod, namespace)
		}
		if err != nil && !installation.IsNotFound(err) {
			return err
		}
		if err == nil {
			if pod.Labels[contract.InjectLabel] != contract.InjectEnabled {
				return fmt.Errorf("the pod %s/%s is no job's: it has no label %s=%s", namespace, target.pod, contract.InjectLabel, contract.InjectEnabled)
			}
			g.notef("pod %s/%s", namespace, target.pod)
			g.facts.Pod = &pod
			return nil
		}
	}
	return g.findPodOf(ctx, target.uuid)
}

// findPodNamed looks for a job's pod of this name in all namespaces. If there is
// not exactly one, the error stays what it was.
func (g *gatherer) findPodNamed(ctx context.Context, name, first string, into *corev1.Pod, missing error) (namespace string, err error) {
	var list corev1.PodList
	selector := contract.InjectLabel + "=" + contract.InjectEnabled
	err = g.client.Get(ctx, &list, cluster.Core("", "pods"), "labelSelector", selector, "fieldSelector", "metadata.name="+name)
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != name {
		return first, missing
	}
	*into = list.Items[0]
	return into.Namespace, nil
}

// findPodOf looks for the pods of a job in all namespaces, or in one where that
// is not allowed.
func (g *gatherer) findPodOf(ctx context.Context, uuid string) error {
	selector := contract.JobUUIDLabel + "=" + uuid
	namespace := g.options.namespace
	var list corev1.PodList
	err := g.client.Get(ctx, &list, cluster.Core(namespace, "pods"), "labelSelector", selector)
	if namespace == "" && installation.IsForbidden(err) {
		namespace = g.client.Namespace
		err = g.client.Get(ctx, &list, cluster.Core(namespace, "pods"), "labelSelector", selector)
	}
	if err != nil {
		return err
	}
	place := "all namespaces"
	if namespace != "" {
		place = "the namespace " + namespace
	}
	g.notef("pods with the label %s in %s of %s: %d", selector, place, cmp.Or(g.client.Context, g.client.Server), len(list.Items))
	if len(list.Items) > 0 {
		latest := slices.MaxFunc(list.Items, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
		g.facts.Pod = &latest
	}
	return nil
}

func (g *gatherer) readEvents(ctx context.Context) {
	pod := g.facts.Pod
	var list corev1.EventList
	if err := g.client.Get(ctx, &list, cluster.Core(pod.Namespace, "events"), "fieldSelector", "involvedObject.uid="+string(pod.UID)); err != nil {
		g.notef("events of the pod could not be read: %v", err)
		return
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return cmp.Compare(lastSeen(a), lastSeen(b)) })
	g.facts.Events = list.Items
}

func lastSeen(event corev1.Event) int64 {
	switch {
	case event.Series != nil:
		return event.Series.LastObservedTime.UnixNano()
	case !event.LastTimestamp.IsZero():
		return event.LastTimestamp.UnixNano()
	default:
		return event.EventTime.UnixNano()
	}
}

// askBuildkite takes the token from the command line, from the environment, or,
// if the person may read it, from where the dispatcher has it.
func (g *gatherer) askBuildkite(ctx context.Context) {
	token, endpoint, err := g.token(ctx)
	if err != nil {
		g.notef("Buildkite was not asked: %v", err)
		return
	}
	job, err := buildkite.New(endpoint, token).Job(ctx, g.facts.UUID)
	if err != nil {
		g.notef("Buildkite was asked in vain: %v", err)
		return
	}
	g.facts.Job, g.facts.JobKnown = job, true
	if job == nil {
		g.notef("Buildkite: no such job, or none that the token may see")
		return
	}
	g.notef("Buildkite: the job is %s", job.State)
}

func (g *gatherer) token(ctx context.Context) (token, endpoint string, err error) {
	endpoint = g.options.endpoint
	if g.found != nil && len(g.found.Dispatchers) > 0 {
		endpoint = cmp.Or(endpoint, g.found.Dispatchers[0].Setting("graphql-endpoint"))
	}
	switch {
	case g.options.token != "":
		return g.options.token, endpoint, nil
	case g.options.tokenFile != "":
		text, err := os.ReadFile(g.options.tokenFile)
		return strings.TrimSpace(string(text)), endpoint, err
	case g.found == nil || len(g.found.Dispatchers) == 0:
		return "", "", errors.New("no token: set --buildkite-token or $BUILDKITE_TOKEN")
	}
	token, err = g.found.Dispatchers[0].Token(ctx, g.client, "buildkite-token")
	if err != nil {
		return "", "", fmt.Errorf("no token (set --buildkite-token or $BUILDKITE_TOKEN), and the dispatcher's could not be read: %w", err)
	}
	return token, endpoint, nil
}

// clusterOf is a job's Buildkite cluster, without a UUID if it has none.
func clusterOf(job *buildkite.Job) buildkite.ClusterName {
	if job.Cluster == nil {
		return buildkite.ClusterName{}
	}
	return *job.Cluster
}

// isOfCluster reports whether a job is of a Buildkite cluster, or of none if that
// is empty. A token that may see the job's queue and not its cluster cannot tell.
func isOfCluster(job *buildkite.Job, uuid string) bool {
	if job.Cluster == nil && job.Queue != nil {
		return true
	}
	return strings.EqualFold(clusterOf(job).UUID, uuid)
}

// readDispatchers looks at who would make the job's pod, and at what their logs
// say of it.
func (g *gatherer) readDispatchers(ctx context.Context) {
	if g.found == nil {
		return
	}
	for _, dispatcher := range g.found.Dispatchers {
		facts := DispatcherFacts{Name: dispatcher.Name(), Cluster: dispatcher.Setting("cluster-uuid"), MaxInFlight: 25}
		if limit, err := strconv.Atoi(dispatcher.Setting("max-in-flight")); err == nil {
			facts.MaxInFlight = limit
		}
		for _, queue := range dispatcher.Queues {
			facts.Queues = append(facts.Queues, queue.Tags.String())
			facts.Serves = facts.Serves || g.facts.Job != nil && queue.Tags.Accept(g.facts.Job.Rules)
		}
		if facts.Serves && !isOfCluster(g.facts.Job, facts.Cluster) {
			facts.Serves, facts.IsOfAnotherCluster = false, true
		}
		holder, isHeld, err := installation.Leader(ctx, g.client, dispatcher)
		if err != nil {
			g.notef("the Lease of the dispatcher %s could not be read: %v", dispatcher.Name(), err)
		}
		// A single replica outside a cluster leads without one.
		facts.Leads = isHeld || err != nil
		facts.InFlight = g.inFlight(ctx, dispatcher)
		g.facts.Dispatchers = append(g.facts.Dispatchers, facts)
		g.readLogs(ctx, dispatcher, holder)
	}
	slices.SortStableFunc(g.facts.Log, func(a, b LogLine) int { return a.At.Compare(b.At) })
}

func (g *gatherer) inFlight(ctx context.Context, dispatcher *installation.Dispatcher) int {
	count := 0
	for _, namespace := range dispatcher.Namespaces() {
		var list corev1.PodList
		if err := g.client.Get(ctx, &list, cluster.Core(namespace, "pods"), "labelSelector", contract.ControllerIDLabel); err != nil {
			g.notef("the pods in flight could not be counted: %v", err)
			return 0
		}
		for i := range list.Items {
			if id := dispatcher.Setting("controller-id"); id != "" && list.Items[i].Labels[contract.ControllerIDLabel] != id {
				continue
			}
			if !diagnosis.RunOf(&list.Items[i]).Finished {
				count++
			}
		}
	}
	return count
}

// logLines is how much of a dispatcher's log is searched.
const logLines = "20000"

func (g *gatherer) readLogs(ctx context.Context, dispatcher *installation.Dispatcher, holder string) {
	pods, err := dispatcher.Pods(ctx, g.client)
	if err != nil {
		g.notef("the pods of the dispatcher %s could not be listed: %v", dispatcher.Name(), err)
		return
	}
	for _, pod := range pods {
		text, err := g.client.Raw(ctx, cluster.Core(pod.Namespace, "pods", pod.Name, "log"), "tailLines", logLines)
		if err != nil {
			g.notef("the log of the dispatcher's pod %s could not be read: %v", pod.Name, err)
			continue
		}
		lines := logLinesAbout(string(text), g.facts.UUID)
		leads := ""
		if holder == pod.Name {
			leads = " (the leader)"
		}
		g.notef("log of the dispatcher's pod %s/%s%s: %d lines about the job", pod.Namespace, pod.Name, leads, len(lines))
		g.facts.Log = append(g.facts.Log, lines...)
	}
}
