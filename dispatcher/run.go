package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Config is everything a dispatcher runs with.
type Config struct {
	Source Source
	States JobStates
	// Annotator writes annotations of builds; nil writes none.
	Annotator Annotator
	// Cluster is where pods go.
	Cluster kubernetes.Interface
	// Clock is the API server's, which Cluster's transport tells the time; nil
	// takes it for this program's.
	Clock *ClusterClock
	// Queues are what jobs are taken from: at least one, each with a name of its
	// own, all with the same controller id.
	Queues []Queue
	Limits Limits
	// Secrets are tokens to keep out of what is quoted of logs.
	Secrets []func() (string, error)
	// LeaseName and LeaseNamespace are where replicas agree on a leader. An
	// empty name runs without election: then there must be one replica only.
	LeaseName, LeaseNamespace string
	// LeaseDuration is how long a leader that died keeps others waiting, at
	// most. Zero means 15 s.
	LeaseDuration time.Duration
	// HTTPAddress serves /healthz, /readyz and /metrics; empty serves nothing.
	HTTPAddress string
	// ProfilerAddress serves /debug/pprof; empty serves nothing.
	ProfilerAddress string
	Log             *slog.Logger
}

// Run dispatches jobs until the context ends, then finishes what is in hand and
// returns nil. It returns ErrLeadershipLost when another replica may have taken
// over.
func Run(ctx context.Context, config Config) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	problems := newProblems(config.Log)
	r := &runner{config: config, metrics: newMetrics(registry), problems: problems, health: &health{problems: problems}}
	if reader, offers := config.Source.(BudgetReader); offers {
		registry.MustRegister(&budgetMetrics{reader: reader, jobs: &r.metrics.created})
	}
	stopHTTP, err := serveHTTP(ctx, "http-address", config.HTTPAddress, probesAndMetrics(r.health, registry), config.Log)
	if err != nil {
		return err
	}
	defer stopHTTP()
	stopProfiler, err := serveHTTP(ctx, "profiler-address", config.ProfilerAddress, profiles(), config.Log)
	if err != nil {
		return err
	}
	defer stopProfiler()
	if config.LeaseName == "" {
		return r.work(ctx)
	}
	config.Log.Info("waiting for the lease", slog.String("namespace", config.LeaseNamespace), slog.String("name", config.LeaseName))
	return lead(ctx, config.Cluster, lease{namespace: config.LeaseNamespace, name: config.LeaseName, duration: cmp.Or(config.LeaseDuration, leaseDuration)}, r.work)
}

// runner holds what outlives one period of leadership.
type runner struct {
	config   Config
	metrics  *metrics
	problems *problems
	health   *health
}

// work dispatches until the context ends. A new leader knows nothing: it lists
// the pods before it counts them.
func (r *runner) work(ctx context.Context) error {
	r.health.leading.Store(true)
	r.metrics.leader.Set(1)
	defer r.health.leading.Store(false)
	defer r.metrics.leader.Set(0)

	pods, err := r.newCaches()
	if err != nil {
		return err
	}
	// The cache serves work in hand to its end, hence a context of its own.
	cacheCtx, stopCache := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer stopCache()
	for _, namespace := range pods {
		running.Go(func() { namespace.Run(cacheCtx) })
	}
	for _, namespace := range pods {
		if !cache.WaitForCacheSync(ctx.Done(), namespace.Synced) {
			return nil
		}
		r.problems.report(namespace.area(), nil)
	}
	r.health.synced.Store(true)
	defer r.health.synced.Store(false)
	r.dispatch(ctx, pods)
	return nil
}

// newCaches makes a cache for each namespace with jobs.
func (r *runner) newCaches() (podCaches, error) {
	var pods podCaches
	seen := map[string]bool{}
	for _, q := range r.config.Queues {
		if seen[q.Pods.Namespace] {
			continue
		}
		seen[q.Pods.Namespace] = true
		namespace, err := NewPodCache(r.config.Cluster, r.config.Clock, q.Pods.Namespace, q.Pods.ControllerID)
		if err != nil {
			return nil, err
		}
		if err := namespace.informer.SetWatchErrorHandlerWithContext(r.listProblem(namespace)); err != nil {
			return nil, err
		}
		pods = append(pods, namespace)
	}
	return pods, nil
}

// dispatch runs the loop, the reaper and the observer side by side.
func (r *runner) dispatch(ctx context.Context, pods podCaches) {
	client := NewPodClient(r.config.Cluster, r.config.Clock)
	events, stopEvents := newEventRecorder(context.WithoutCancel(ctx), r.config.Cluster)
	defer stopEvents()
	parts := Parts{
		Source: r.config.Source, States: r.config.States, Annotator: r.config.Annotator, Events: events,
		Submitter: client, Trial: client, Reader: client, Deleter: client, Templates: client, Details: client, Pods: pods,
		Redact: newRedactor(r.config.Secrets),
	}
	dispatcher := newDispatcher(parts, r.config.Queues, r.config.Limits, r.config.Log, r.metrics, r.problems)
	dispatcher.beat = func() { r.health.beat.Store(time.Now().UnixNano()) }
	for _, q := range r.config.Queues {
		r.config.Log.Info("dispatching",
			slog.String("controller_id", q.Pods.ControllerID),
			slog.String("namespace", q.Pods.Namespace),
			slog.String("tags", q.Pods.Tags.String()),
			slog.Int("max_in_flight", q.MaxInFlight),
			slog.Int("max_in_flight_of_all", r.config.Limits.MaxInFlight))
	}
	var running sync.WaitGroup
	running.Go(func() { dispatcher.run(ctx) })
	running.Go(func() { dispatcher.preflight(ctx) })
	running.Go(func() { (&reaper{dispatcher: dispatcher}).run(ctx) })
	running.Go(func() { (&observer{dispatcher: dispatcher}).run(ctx) })
	running.Wait()
	r.config.Log.Info("stopped dispatching")
}

// listProblem reports a cache that cannot be filled, which is a missing
// permission or namespace more often than not. Once it is full, a broken watch
// mends itself.
func (r *runner) listProblem(pods *PodCache) cache.WatchErrorHandlerWithContext {
	return func(ctx context.Context, reflector *cache.Reflector, err error) {
		if pods.Synced() || errors.Is(err, context.Canceled) {
			cache.DefaultWatchErrorHandler(ctx, reflector, err)
			return
		}
		r.problems.report(pods.area(), &Problem{
			Kind:   "list",
			Advice: "cannot list pods in namespace " + pods.namespace + ": check the API server's address, --namespace and the role (pods get, list, watch, create, delete, patch)",
			Err:    err,
		})
	}
}
