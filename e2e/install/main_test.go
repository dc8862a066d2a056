// Package install installs the product with the real Helm on the real cluster, with
// the real cert-manager, as its users do, and runs Buildkite jobs through it with
// the real agent. It needs root; `make test` builds what it needs and runs it.
package install

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

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/buildkite/agent-stack-k8s/e2e/cluster"
	"github.com/buildkite/agent-stack-k8s/e2e/images"
	"github.com/buildkite/agent-stack-k8s/e2e/progress"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
	"github.com/buildkite/agent-stack-k8s/e2e/stack"
)

const (
	// Another port than those of the demo and the end-to-end tests.
	simulatorPort = "8022"
	simulatorURL  = "http://" + cluster.NodeIP + ":" + simulatorPort

	organization = "example"
	agentToken   = "agent-token-of-the-tests"
	graphqlToken = "graphql-token-of-the-tests"

	// Other names than the defaults, to see that nothing depends on those.
	release       = "ci"
	namespace     = "helm-system"
	jobNamespace  = namespace + "-jobs"
	fullname      = "ci-agent-stack-k8s"
	webhookName   = "00-" + namespace + "-" + fullname + "-mutator"
	chartRegistry = "oci://" + cluster.Registry + "/charts"
)

// What all tests share; set before the first one runs.
var (
	bin         string
	pulled      map[string]string
	sim         *simulator.Simulator
	client      = &simulator.Client{URL: simulatorURL}
	kube        stack.Kubectl
	api         kubernetes.Interface
	clusterUUID string
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	stop, err := setUp(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "set up the tests of the installation:", err)
		return 1
	}
	defer stop()
	status := m.Run()
	if violations := sim.Oracle().Violations(); len(violations) > 0 {
		fmt.Printf("--- FAIL: oracle\n    %s\n", strings.Join(violations, "\n    "))
		status = 1
	} else {
		fmt.Printf("oracle: %d jobs, none acquired or finished twice\n", len(sim.Oracle().Report().Records))
	}
	if err := cleanUp(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "clean up:", err)
		status = 1
	}
	return status
}

func setUp(ctx context.Context) (func(), error) {
	if bin = os.Getenv("E2E_BIN"); bin == "" {
		return nil, errors.New("E2E_BIN is not set; run `make test`, which builds the programs and sets it")
	}
	report := progress.New(os.Stderr, "Installation", append(cluster.Steps(true), progress.Step{Name: "images", Estimate: 5 * time.Second}))
	running, err := cluster.Start(ctx, cluster.Options{Bin: bin, CertManager: true, Progress: report})
	if err != nil {
		return nil, err
	}
	kube = stack.Kubectl{Path: filepath.Join(bin, "kubectl"), Kubeconfig: running.Kubeconfig, Context: cluster.ContextName}
	config, err := clientcmd.BuildConfigFromFlags("", running.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 200, 200
	// The load's pods are made as lazily as people make theirs.
	config.WarningHandler = rest.NoWarnings{}
	if api, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	report.Start("images", 0)
	if pulled, err = images.Push(ctx, cluster.Registry, images.Agent, images.Shell, images.Entrypoint, images.Mutator, images.Dispatcher); err != nil {
		report.Fail(err)
		return nil, err
	}
	report.Done()
	// What an interrupted run left behind, and the installation of other tests.
	if err := errors.Join(cleanUp(ctx), stack.Uninstall(ctx, kube)); err != nil {
		return nil, err
	}
	return startSimulator(ctx)
}

func startSimulator(ctx context.Context) (func(), error) {
	var err error
	sim, err = simulator.New(simulator.Options{
		PublicURL: simulatorURL, Organization: organization, DefaultQueue: "kubernetes",
		AgentTokens: []string{agentToken, furtherToken}, GraphQLTokens: []string{graphqlToken},
		HeartbeatTimeout: 20 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cluster.NodeIP+":"+simulatorPort)
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

// cleanUp removes the releases of these tests, whatever state they are in.
func cleanUp(ctx context.Context) error {
	var problems []error
	for _, one := range [][2]string{{release, namespace}, {"canary", "canary-system"}} {
		_, err := helm(ctx, "uninstall", one[0], "--namespace", one[1], "--ignore-not-found", "--wait")
		problems = append(problems, err)
	}
	_, err := kube.Run(ctx, "delete", "namespace", namespace, jobNamespace, "canary-system", "canary-system-jobs", "further-jobs", "--ignore-not-found")
	return errors.Join(append(problems, err)...)
}
