// Package endtoend runs Buildkite jobs with the real agent on the real cluster,
// against the simulator in this process, and asks the oracle afterwards. It needs
// root; `make test` builds what it needs and runs it.
package endtoend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/cluster"
	"github.com/buildkite/agent-stack-k8s/e2e/images"
	"github.com/buildkite/agent-stack-k8s/e2e/progress"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
	"github.com/buildkite/agent-stack-k8s/e2e/stack"
)

const (
	// Another port than the demo's, so that both can run.
	simulatorPort = "8021"
	simulatorURL  = "http://" + cluster.NodeIP + ":" + simulatorPort
	nodeIP        = cluster.NodeIP

	systemNamespace = stack.SystemNamespace
	jobNamespace    = stack.JobNamespace

	organization = "example"
	agentToken   = "agent-token-of-the-tests"
	graphqlToken = "graphql-token-of-the-tests"
)

// What all tests share; set before the first one runs.
var (
	bin         string // the programs
	pulled      map[string]string
	sim         *simulator.Simulator
	client      = &simulator.Client{URL: simulatorURL}
	kube        stack.Kubectl
	clusterUUID string
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	stop, err := setUp(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "set up the end-to-end tests:", err)
		return 1
	}
	status := m.Run()
	if violations := sim.Oracle().Violations(); len(violations) > 0 {
		fmt.Printf("--- FAIL: oracle\n    %s\n", strings.Join(violations, "\n    "))
		status = 1
	} else {
		report := sim.Oracle().Report()
		fmt.Printf("oracle: %d jobs, none acquired or finished twice, none finished without having been acquired\n", len(report.Records))
	}
	if os.Getenv("KEEP") == "" {
		if err := stack.Uninstall(ctx, kube); err != nil {
			fmt.Fprintln(os.Stderr, "clean up:", err)
			status = 1
		}
	}
	stop()
	return status
}

// setUp brings up whatever is missing and returns what takes the simulator down.
func setUp(ctx context.Context) (func(), error) {
	if bin = os.Getenv("E2E_BIN"); bin == "" {
		return nil, errors.New("E2E_BIN is not set; run `make test`, which builds the programs and sets it")
	}
	steps := append(cluster.Steps(true), progress.Step{Name: "images", Estimate: 5 * time.Second}, progress.Step{Name: "install", Estimate: 10 * time.Second})
	report := progress.New(os.Stderr, "End-to-end tests", steps)
	running, err := cluster.Start(ctx, cluster.Options{Bin: bin, CertManager: true, Progress: report})
	if err != nil {
		return nil, err
	}
	kube = stack.Kubectl{Path: filepath.Join(bin, "kubectl"), Kubeconfig: running.Kubeconfig, Context: cluster.ContextName}

	report.Start("images", 0)
	if pulled, err = images.Push(ctx, cluster.Registry, images.Agent, images.Shell, images.NoShell, images.Git, images.Entrypoint, images.Mutator, images.Dispatcher); err != nil {
		report.Fail(err)
		return nil, err
	}
	stop, err := startSimulator(ctx)
	if err != nil {
		report.Fail(err)
		return nil, err
	}
	report.Start("install", 0)
	if err := install(ctx); err != nil {
		report.Fail(err)
		stop()
		return nil, err
	}
	report.Done()
	return stop, nil
}

func startSimulator(ctx context.Context) (func(), error) {
	var err error
	sim, err = simulator.New(simulator.Options{
		PublicURL: simulatorURL, Organization: organization, DefaultQueue: "kubernetes",
		AgentTokens: []string{agentToken}, GraphQLTokens: []string{graphqlToken},
		HeartbeatTimeout: 20 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", nodeIP+":"+simulatorPort)
	if err != nil {
		return nil, fmt.Errorf("serve the simulator: %w", err)
	}
	server := &http.Server{Handler: sim.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
	clusters, err := client.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	clusterUUID = clusters[0].UUID
	_, err = client.CreateRepository(ctx, simulator.RepositoryRequest{Name: "sample", Files: map[string]simulator.File{
		"README.md": {Content: "# sample\n"},
	}})
	return func() {
		_ = server.Close()
		sim.Close()
	}, err
}

func install(ctx context.Context) error {
	// What an interrupted run left behind, pods of jobs above all.
	if err := stack.Uninstall(ctx, kube); err != nil {
		return err
	}
	return stack.Install(ctx, stack.Options{
		Kubectl:     kube,
		Manifests:   filepath.Join("..", "..", "manifests"),
		CertManager: true,
		Images: stack.Images{
			Agent: pulled[images.Agent], Entrypoint: pulled[images.Entrypoint],
			Mutator: pulled[images.Mutator], Dispatcher: pulled[images.Dispatcher],
		},
		Dispatcher: map[string]any{
			"org": organization, "cluster-uuid": clusterUUID, "queue": "kubernetes",
			"graphql-endpoint": simulatorURL + "/graphql", "rest-endpoint": simulatorURL + "/v2", "max-in-flight": 10, "controller-id": "tests",
			"image-pull-backoff-grace-period": "5s", "pod-pending-timeout": "45s",
		},
		Mutator:       mutatorSettings,
		AgentEndpoint: simulatorURL + "/v3",
		AgentToken:    agentToken, BuildkiteToken: graphqlToken,
	})
}
