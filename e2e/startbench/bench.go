package startbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/buildkite/agent-stack-k8s/e2e/cluster"
	"github.com/buildkite/agent-stack-k8s/e2e/images"
	"github.com/buildkite/agent-stack-k8s/e2e/progress"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
	"github.com/buildkite/agent-stack-k8s/e2e/stack"
)

const (
	namespace  = "bench-start"
	agentToken = "bench-agent-token"
	// Ports of their own, so that a demo can run beside.
	simulatorAddress = cluster.NodeIP + ":8022"
)

// settle is how long the machine is left alone between two runs. The kubelet goes on
// with what is left of a pod, its volumes and control groups, after the pod is gone,
// and what comes next would pay for what came before.
const settle = 3 * time.Second

// Options say how to measure.
type Options struct {
	// Bin is the directory of the programs.
	Bin string
	// Runs is how many times each shape runs, after one that does not count.
	Runs int
	// Shapes are the names of the kinds of pods that run; all, if there are none.
	Shapes []string
	// FirstJob has each job be its build's first, whose checkout asks Buildkite
	// whether it knows the commit, reads it with git and sends it. The jobs of a build
	// but its first, which mostly uploads the pipeline, do not.
	FirstJob bool
	// Latency is what each answer of Buildkite and of the Git server takes longer, as
	// over a network. Default none: they are on the same machine.
	Latency time.Duration
	// Out gets the table, Log the progress.
	Out, Log io.Writer
}

type measurement struct {
	options                Options
	cluster                kubernetes.Interface
	kubectl                stack.Kubectl
	client                 *simulator.Client
	agentImage, shellImage string
	entrypointImage        string
	// commit is what the jobs check out.
	commit string
}

// Measure runs every shape in turn, again and again, so that whatever else the
// machine does falls on all of them alike.
func Measure(ctx context.Context, options Options) (err error) {
	all, err := chosenShapes(options.Shapes)
	if err != nil {
		return err
	}
	b := &measurement{options: options, client: &simulator.Client{URL: "http://" + simulatorAddress}}
	stop, err := b.setUp(ctx)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	runs := map[string][]Run{}
	number := 0
	for round := range options.Runs + 1 {
		for _, shape := range all {
			number++
			time.Sleep(settle)
			run, err := b.once(ctx, shape, number)
			if err != nil {
				return err
			}
			fmt.Fprintf(options.Log, "round %d of %d  %-20s finished after %.2f s\n", round, options.Runs, shape.Name, run.Finished.Seconds())
			if round > 0 {
				// The first one pulls images.
				runs[shape.Name] = append(runs[shape.Name], run)
			}
		}
	}
	traced := all[max(0, slices.IndexFunc(all, func(shape Shape) bool { return shape.Name == "image-volume" }))]
	time.Sleep(settle)
	started, err := tracePrograms(func() error {
		_, err := b.once(ctx, traced, number+1)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(options.Out, heading(options)); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	if err := report(options.Out, all, runs); err != nil {
		return err
	}
	if err := reportPhases(options.Out, all, runs); err != nil {
		return err
	}
	return reportPrograms(options.Out, traced.Name, started)
}

// setUp makes a cluster with everything on it. What it returns takes all but the
// cluster away.
func (b *measurement) setUp(ctx context.Context) (stop func() error, err error) {
	var stops []func() error
	stop = func() error {
		var errs []error
		for _, stop := range slices.Backward(stops) {
			errs = append(errs, stop())
		}
		return errors.Join(errs...)
	}
	steps := append(cluster.Steps(false), progress.Step{Name: "images", Estimate: 30 * time.Second}, progress.Step{Name: "mutators", Estimate: 2 * time.Second})
	report := progress.New(b.options.Log, "Start latency", steps)
	running, err := cluster.Start(ctx, cluster.Options{Bin: b.options.Bin, Progress: report})
	if err != nil {
		return stop, err
	}
	b.kubectl = stack.Kubectl{Path: filepath.Join(b.options.Bin, "kubectl"), Kubeconfig: running.Kubeconfig, Context: cluster.ContextName}
	if err := b.connect(running.Kubeconfig); err != nil {
		return stop, err
	}
	report.Start("images", 0)
	pulled, err := images.Push(ctx, cluster.Registry, images.Agent, images.Shell, images.Entrypoint)
	if err != nil {
		return stop, err
	}
	b.agentImage, b.shellImage, b.entrypointImage = pulled[images.Agent], pulled[images.Shell], pulled[images.Entrypoint]
	report.Start("mutators", 0)
	stopSimulator, err := b.simulate(ctx)
	if err != nil {
		return stop, err
	}
	stops = append(stops, stopSimulator)
	stopMutators, err := b.install(ctx)
	stops = append(stops, stopMutators)
	if err == nil {
		report.Done()
	}
	return stop, err
}

func (b *measurement) connect(kubeconfig string) error {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: cluster.ContextName}).ClientConfig()
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.QPS = -1
	if b.cluster, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	return nil
}

// simulate serves Buildkite from this process.
func (b *measurement) simulate(ctx context.Context) (stop func() error, err error) {
	sim, err := simulator.New(simulator.Options{
		PublicURL: b.client.URL, Organization: "example", DefaultQueue: "bench",
		AgentTokens: []string{agentToken}, GraphQLTokens: []string{"unused"},
	})
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", simulatorAddress)
	if err != nil {
		sim.Close()
		return nil, fmt.Errorf("serve the simulator: %w", err)
	}
	server := &http.Server{Handler: delayed(sim.Handler(), b.options.Latency), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	sample, err := b.client.CreateRepository(ctx, simulator.RepositoryRequest{Name: "sample", Files: map[string]simulator.File{
		"README.md": {Content: "# sample\n"},
	}})
	b.commit = sample.Commit
	return func() error {
		err := server.Close()
		sim.Close()
		return err
	}, err
}

// delayed answers each request later by so long, but for the benchmark's own, which
// are no part of what is measured.
func delayed(handler http.Handler, latency time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/simulator/") {
			time.Sleep(latency)
		}
		handler.ServeHTTP(w, r)
	})
}
