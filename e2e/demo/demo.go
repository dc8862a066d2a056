// Package demo shows the product at work on a real cluster: three Buildkite jobs
// dispatched, injected and run by the real agent, then a pod made by hand.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
	"github.com/buildkite/agent-stack-k8s/e2e/progress"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
	"github.com/buildkite/agent-stack-k8s/e2e/stack"
)

// Options say where the demo runs.
type Options struct {
	// Bin is the directory of the programs.
	Bin string
	// Checkout is the root of a clone of this repository.
	Checkout string
	// Context names a context of the user's kubeconfig. Empty starts a cluster on
	// this machine.
	Context string
	// Registry is where Context's cluster pulls from, and the demo pushes to.
	Registry string
	Out      io.Writer
}

// The parts of the demo; organization and tokens are the simulator's.
const (
	organization = "example"
	agentToken   = "demo-agent-token"
	graphqlToken = "demo-graphql-token"
	queue        = "kubernetes"

	// patience is how long jobs may take in all.
	patience = 3 * time.Minute
)

// place is a cluster to run on and a simulator that its pods reach.
type place interface {
	steps() []progress.Step
	// prepare makes the cluster ready and returns kubectl for it.
	prepare(ctx context.Context, report *progress.Progress) (stack.Kubectl, error)
	registry() string
	// images names those that the demo needs there.
	images() []string
	// simulate starts the simulator and returns where we and where pods reach it.
	simulate(ctx context.Context, pulled map[string]string) (ours, pods string, err error)
	// farewell tells how to look around, and cleans up what must not stay.
	farewell(ctx context.Context, out io.Writer, page string) error
}

type demo struct {
	Options
	place   place
	kubectl stack.Kubectl
	client  *simulator.Client
	report  *progress.Progress
	pulled  map[string]string
}

// Run runs the demo. It is nil only if everything was green.
func Run(ctx context.Context, options Options) error {
	d := &demo{Options: options, place: localPlace{bin: options.Bin}}
	if options.Context != "" {
		d.place = &userPlace{bin: options.Bin, context: options.Context, pushTo: options.Registry}
	}
	steps := append(d.place.steps(),
		progress.Step{Name: "images", Estimate: 30 * time.Second},
		progress.Step{Name: "Buildkite simulator", Estimate: time.Second},
		progress.Step{Name: "install mutator and dispatcher", Estimate: 8 * time.Second})
	d.report = progress.New(d.Out, "A cluster with the product on it", steps)
	if err := d.setUp(ctx); err != nil {
		d.report.Fail(err)
		return err
	}
	green, err := d.show(ctx)
	return errors.Join(err, green, d.place.farewell(ctx, d.Out, d.client.URL))
}

func (d *demo) setUp(ctx context.Context) error {
	var err error
	if d.kubectl, err = d.place.prepare(ctx, d.report); err != nil {
		return err
	}
	d.report.Start("images", 0)
	if d.pulled, err = images.Push(ctx, d.place.registry(), d.place.images()...); err != nil {
		return err
	}
	d.report.Start("Buildkite simulator", 0)
	ours, pods, err := d.place.simulate(ctx, d.pulled)
	if err != nil {
		return err
	}
	d.client = &simulator.Client{URL: ours}
	clusterUUID, err := d.fill(ctx)
	if err != nil {
		return err
	}
	d.report.Start("install mutator and dispatcher", 0)
	err = stack.Install(ctx, stack.Options{
		Kubectl: d.kubectl, Manifests: d.Checkout + "/manifests",
		Images: stack.Images{
			Agent: d.pulled[images.Agent], Entrypoint: d.pulled[images.Entrypoint],
			Mutator: d.pulled[images.Mutator], Dispatcher: d.pulled[images.Dispatcher],
		},
		Dispatcher: map[string]any{
			"org": organization, "cluster-uuid": clusterUUID, "queue": queue, "graphql-endpoint": pods + "/graphql",
		},
		AgentEndpoint: pods + "/v3", AgentToken: agentToken, BuildkiteToken: graphqlToken,
	})
	if err != nil {
		return err
	}
	d.report.Done()
	return nil
}

// fill gives the simulator a repository, once it answers, and returns its
// cluster.
func (d *demo) fill(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		clusters, err := d.client.Clusters(ctx)
		if err == nil {
			_, err = d.client.CreateRepository(ctx, simulator.RepositoryRequest{Name: "sample", Files: map[string]simulator.File{
				"README.md": {Content: "# A repository for the demo\n"},
			}})
			return clusters[0].UUID, err
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("wait for the simulator: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
