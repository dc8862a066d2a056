package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

const (
	organization = "example"
	queue        = "kubernetes"
	agentToken   = "agent-token-of-the-testbed"
	graphqlToken = "graphql-token-of-the-testbed"
	// ControllerID is the dispatchers'.
	ControllerID = "testbed"
)

// Options say what to start.
type Options struct {
	// Bin is the directory of the built programs, Manifests the directory manifests
	// of a checkout.
	Bin, Manifests string
	// Nodes is how many nodes are simulated.
	Nodes int
	// Limits are Buildkite's on GraphQL; the zero value limits nothing in time.
	Limits simulator.Limits
	// JobTime is how long a job takes, at most; a stand-in takes a random part of it.
	JobTime time.Duration
	// Brief agents skip the Agent API: they tell the simulator in this process, so
	// that they cost next to nothing beside what is measured.
	Brief bool
	// Endless jobs begin and never end; only Brief agents run them.
	Endless bool
	// Audit has the API server write down the dispatcher's requests; see Requests.
	Audit bool
}

// Testbed is all of it, running.
type Testbed struct {
	Plane     *controlplane.Plane
	Simulator *simulator.Simulator
	Agents    *Agents
	// URL is the simulator's address.
	URL string

	options     Options
	clusterUUID string
	kubeconfig  string
	server      *http.Server
}

// Up starts a testbed. Stop it even after an error.
func Up(ctx context.Context, options Options) (*Testbed, error) {
	t := &Testbed{options: options}
	if err := t.startSimulator(ctx); err != nil {
		return t, err
	}
	var err error
	t.Plane, err = controlplane.Up(ctx, controlplane.Options{
		Bin: options.Bin, Manifests: options.Manifests, Nodes: options.Nodes, AgentEndpoint: t.URL + "/v3", Audit: options.Audit,
	})
	if err != nil {
		return t, err
	}
	if t.kubeconfig, err = t.Plane.ServiceAccountKubeconfig(ctx, "dispatcher"); err != nil {
		return t, err
	}
	t.Agents = newAgents(t)
	return t, t.Agents.start(ctx)
}

// Stop ends everything.
func (t *Testbed) Stop() error {
	if t.Agents != nil {
		t.Agents.stop()
	}
	err := t.Plane.Stop()
	if t.server != nil {
		err = errors.Join(err, t.server.Close())
	}
	if t.Simulator != nil {
		t.Simulator.Close()
	}
	return err
}

func (t *Testbed) startSimulator(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serve the simulator: %w", err)
	}
	t.URL = "http://" + listener.Addr().String()
	settings := simulator.Options{
		PublicURL: t.URL, Organization: organization, DefaultQueue: queue, Limits: t.options.Limits,
		AgentTokens: []string{agentToken}, GraphQLTokens: []string{graphqlToken},
	}
	if t.options.Brief {
		settings.HeartbeatTimeout = 24 * time.Hour // they send none
	}
	t.Simulator, err = simulator.New(settings)
	if err != nil {
		listener.Close()
		return err
	}
	t.clusterUUID = t.Simulator.Store().Clusters()[0].UUID
	t.server = &http.Server{Handler: t.Simulator.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := t.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
	return nil
}

// StartDispatcher starts a dispatcher for the testbed's queue; later arguments win.
func (t *Testbed) StartDispatcher(options controlplane.DispatcherOptions) (*controlplane.Dispatcher, error) {
	options.Kubeconfig = t.kubeconfig
	options.Arguments = append([]string{
		"--org=" + organization, "--cluster-uuid=" + t.clusterUUID, "--queue=" + queue, "--controller-id=" + ControllerID,
		"--buildkite-token=" + graphqlToken, "--agent-token=" + agentToken,
		"--graphql-endpoint=" + t.URL + "/graphql", "--rest-endpoint=" + t.URL + "/v2", "--agent-endpoint=" + t.URL + "/v3",
	}, options.Arguments...)
	return t.Plane.StartDispatcher(options)
}
