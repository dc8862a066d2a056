// Command bench-admission measures the admission webhook beside webhooks on
// controller-runtime's Defaulter, and prints a table with the ratios.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/buildkite/agent-stack-k8s/e2e/bench"
	"github.com/buildkite/agent-stack-k8s/mutator/webhook"
)

// memoryLimit is the manifests' GOMEMLIMIT.
const memoryLimit = 192 << 20

func main() {
	rounds := pflag.Int("rounds", 40, "batches of 50 reviews in process, per pod and contender")
	storms := pflag.Int("storms", 5, "storms of 1,000 reviews at each server, per setting")
	pflag.Parse()
	log.SetLogger(logr.Discard())
	// As in the shipped manifests, and for all contenders.
	debug.SetMemoryLimit(memoryLimit)
	webhook.CollectRarely()
	if err := run(context.Background(), os.Stdout, *rounds, *storms); err != nil {
		fmt.Fprintln(os.Stderr, "bench-admission:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, rounds, storms int) error {
	fmt.Fprintf(out, "%s, %s\n", time.Now().UTC().Format(time.DateOnly), bench.Machine())
	fmt.Fprintf(out, "nice -n -20 bench-admission (make bench-admission), with %d rounds and %d storms; memory limit and garbage collector as the manifests have them, for all\n", rounds, storms)
	report := bench.Report{Out: out}
	if err := report.InProcess(ctx, rounds); err != nil {
		return err
	}
	return report.HTTP(ctx, storms)
}
