package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

// Config is everything a dispatcher runs with.
type Config struct {
	Source Source
	States JobStates
	Failer Failer
	// Cluster is where pods go.
	Cluster kubernetes.Interface
	Pods    jobpod.PodSettings
	Limits  Limits
	// LeaseName and LeaseNamespace are where replicas agree on a leader. An
	// empty name runs without election: then there must be one replica only.
	LeaseName, LeaseNamespace string
	// HTTPAddress serves /healthz, /readyz and /metrics; empty serves nothing.
	HTTPAddress string
	Log         *slog.Logger
}

// Run dispatches jobs until the context ends, then finishes what is in hand and
// returns nil. It returns ErrLeadershipLost when another replica may have taken
// over.
func Run(ctx context.Context, config Config) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	problems := newProblems(config.Log)
	r := &runner{config: config, metrics: newMetrics(registry), problems: problems, health: &health{problems: problems}}
	stopHTTP, err := serveHTTP(ctx, config.HTTPAddress, r.health, registry, config.Log)
	if err != nil {
		return err
	}
	defer stopHTTP()
	if config.LeaseName == "" {
		return r.work(ctx)
	}
	config.Log.Info("waiting for the lease", slog.String("namespace", config.LeaseNamespace), slog.String("name", config.LeaseName))
	return lead(ctx, config.Cluster, config.LeaseNamespace, config.LeaseName, r.work)
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

	pods, err := NewPodCache(r.config.Cluster, r.config.Pods.Namespace, r.config.Pods.ControllerID)
	if err != nil {
		return err
	}
	if err := pods.informer.SetWatchErrorHandlerWithContext(r.listProblem(pods)); err != nil {
		return err
	}
	// The cache serves work in hand to its end, hence a context of its own.
	cacheCtx, stopCache := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer stopCache()
	running.Go(func() { pods.Run(cacheCtx) })
	if !cache.WaitForCacheSync(ctx.Done(), pods.Synced) {
		return nil
	}
	r.problems.report("pods", nil)
	r.health.synced.Store(true)
	defer r.health.synced.Store(false)
	r.dispatch(ctx, pods)
	return nil
}

// dispatch runs the loop and the reaper side by side.
func (r *runner) dispatch(ctx context.Context, pods *PodCache) {
	client := NewPodClient(r.config.Cluster)
	parts := Parts{
		Source: r.config.Source, States: r.config.States, Failer: r.config.Failer,
		Submitter: client, Reader: client, Deleter: client, Templates: client, Details: client, Pods: pods,
	}
	dispatcher := newDispatcher(parts, r.config.Pods, r.config.Limits, r.config.Log, r.metrics, r.problems)
	dispatcher.beat = func() { r.health.beat.Store(time.Now().UnixNano()) }
	r.config.Log.Info("dispatching",
		slog.String("controller_id", r.config.Pods.ControllerID),
		slog.String("namespace", r.config.Pods.Namespace),
		slog.String("tags", r.config.Pods.Tags.String()),
		slog.Int("max_in_flight", r.config.Limits.MaxInFlight),
		slog.Int("in_flight", pods.InFlight()))
	var running sync.WaitGroup
	running.Go(func() { dispatcher.run(ctx) })
	running.Go(func() { (&reaper{dispatcher: dispatcher}).run(ctx) })
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
		r.problems.report("pods", &Problem{
			Kind:   "list",
			Advice: "cannot list pods in namespace " + r.config.Pods.Namespace + ": check the API server's address, --namespace and the role (pods get, list, watch, create, delete, patch)",
			Err:    err,
		})
	}
}
