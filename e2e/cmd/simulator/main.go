// Command simulator runs a stand-in for Buildkite and talks to one that runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// defaultAddress is where the local cluster's nodes and pods reach the host.
const defaultAddress = "10.244.0.1:8020"

// errNotPassed makes the command fail after it has said everything.
var errNotPassed = errors.New("the build has not passed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	if !errors.Is(err, errNotPassed) {
		fmt.Fprintf(os.Stderr, "simulator: %v\n", err)
	}
	os.Exit(1)
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "simulator",
		Short:         "A stand-in for Buildkite, for tests and demonstrations",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	client := &simulator.Client{}
	root.AddCommand(serve())
	for _, sub := range []*cobra.Command{
		build(client), cancel(client), showLog(client), jobs(client), oracle(client), repository(client), queue(client),
		retry(client), usage(client), faults(client), token(client),
	} {
		sub.Flags().StringVar(&client.URL, "url", "http://"+defaultAddress, "address of the simulator")
		root.AddCommand(sub)
	}
	return root
}
