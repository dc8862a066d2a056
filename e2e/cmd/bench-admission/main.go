// Command bench-admission measures the admission webhook beside webhooks on
// controller-runtime's Defaulter, and prints a table with the ratios.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/buildkite/agent-stack-k8s/e2e/bench"
)

func main() {
	rounds := pflag.Int("rounds", 40, "batches of 50 reviews in process, per pod and contender")
	storms := pflag.Int("storms", 5, "storms of 1,000 reviews at each server, per setting")
	pflag.Parse()
	log.SetLogger(logr.Discard())
	if err := run(context.Background(), os.Stdout, *rounds, *storms); err != nil {
		fmt.Fprintln(os.Stderr, "bench-admission:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, rounds, storms int) error {
	fmt.Fprintf(out, "%s, %s\n", time.Now().UTC().Format(time.DateOnly), bench.Machine())
	fmt.Fprintf(out, "make bench-admission, with %d rounds and %d storms\n", rounds, storms)
	report := bench.Report{Out: out}
	if err := report.InProcess(ctx, rounds); err != nil {
		return err
	}
	return report.HTTP(ctx, storms)
}
