// Command demo shows the product at work. `make demo` builds what it needs and
// runs it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/buildkite/agent-stack-k8s/e2e/demo"
)

func main() {
	options := demo.Options{Out: os.Stdout}
	pflag.StringVar(&options.Checkout, "checkout", ".", "root of a clone of the repository")
	pflag.StringVar(&options.Context, "context", "", "context of your kubeconfig to run on (default: a cluster on this machine, which needs root)")
	pflag.StringVar(&options.Registry, "registry", "", "with --context: registry to push the images to, from which that cluster can pull")
	pflag.CommandLine.SortFlags = false
	pflag.Usage = func() {
		fmt.Fprintf(os.Stderr, "Shows Buildkite jobs run as Kubernetes pods, on a real cluster with a simulated Buildkite.\n\nUsage: demo [flags]\n\n%s\nExit status: 0 if every job was green.\n", pflag.CommandLine.FlagUsages())
	}
	pflag.Parse()
	if err := run(options); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(options demo.Options) error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the demo's programs: %w", err)
	}
	options.Bin = filepath.Dir(executable)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return demo.Run(ctx, options)
}
