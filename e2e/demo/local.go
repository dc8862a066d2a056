package demo

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/buildkite/agent-stack-k8s/e2e/cluster"
	"github.com/buildkite/agent-stack-k8s/e2e/images"
	"github.com/buildkite/agent-stack-k8s/e2e/progress"
	"github.com/buildkite/agent-stack-k8s/e2e/stack"
)

// localPlace is a cluster on this machine.
type localPlace struct{ bin string }

const localSimulator = cluster.NodeIP + ":8020"

func (localPlace) steps() []progress.Step { return cluster.Steps(false) }

func (p localPlace) prepare(ctx context.Context, report *progress.Progress) (stack.Kubectl, error) {
	running, err := cluster.Start(ctx, cluster.Options{Bin: p.bin, Progress: report})
	if err != nil {
		return stack.Kubectl{}, err
	}
	return stack.Kubectl{Path: filepath.Join(p.bin, "kubectl"), Kubeconfig: running.Kubeconfig, Context: cluster.ContextName}, nil
}

func (localPlace) registry() string { return cluster.Registry }

func (localPlace) images() []string { return jobImages }

// jobImages is what the product and the demo's jobs run from.
var jobImages = []string{images.Agent, images.Shell, images.NoShell, images.Entrypoint, images.Mutator, images.Dispatcher}

func (p localPlace) simulate(context.Context, map[string]string) (ours, pods string, err error) {
	url := "http://" + localSimulator
	err = cluster.StartGuest("simulator", filepath.Join(p.bin, "simulator"), simulatorArguments(localSimulator, url)...)
	return url, url, err
}

func simulatorArguments(listen, url string) []string {
	return []string{
		"serve", "--listen=" + listen, "--public-url=" + url, "--organization=" + organization, "--default-queue=" + queue,
		"--agent-token=" + agentToken, "--graphql-token=" + graphqlToken,
	}
}

func (p localPlace) farewell(_ context.Context, out io.Writer, page string) error {
	fmt.Fprintf(out, `
Builds, jobs and logs:  %s
Look around:            export KUBECONFIG=%s PATH=$PATH:%s
                        kubectl -n buildkite-jobs get pods
Another build:          simulator build -f pipeline.yml --url %s --wait
Take it all away:       make cluster-down
`, page, cluster.Kubeconfig, p.bin, page)
	return nil
}
