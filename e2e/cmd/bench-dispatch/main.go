// Command bench-dispatch measures the dispatcher with many jobs. `make
// bench-dispatch` builds what it needs and runs it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/buildkite/agent-stack-k8s/e2e/dispatchbench"
)

func main() {
	var results string
	options := dispatchbench.Options{Out: os.Stdout}
	pflag.IntVar(&options.Jobs, "jobs", 5000, "jobs scheduled at once")
	pflag.IntVar(&options.Rounds, "rounds", 3, "how often; 0 leaves the rate out")
	pflag.IntVar(&options.Nodes, "nodes", 50, "simulated nodes")
	pflag.IntSliceVar(&options.Live, "live", []int{1000, 5000, 10000}, "numbers of live pods to measure the memory at; 0 leaves it out")
	pflag.DurationVar(&options.Steady, "steady", 6*time.Minute, "how long jobs come steadily; 0 leaves it out")
	pflag.Float64Var(&options.SteadyRate, "steady-rate", 2, "jobs per second meanwhile")
	pflag.DurationVar(&options.Settle, "settle", 30*time.Second, "how long a dispatcher is left alone before its memory is read")
	pflag.BoolVar(&options.IgnoreTargets, "ignore-targets", false, "succeed although a target is missed")
	pflag.StringVar(&options.Dispatcher, "dispatcher", "", "`FILE` of another dispatcher to measure")
	pflag.StringVar(&options.Profiles, "profiles", "", "`DIRECTORY` to write profiles of the dispatcher's memory to")
	pflag.StringVar(&options.Manifests, "manifests", "manifests", "`DIRECTORY` of the manifests")
	pflag.StringVar(&results, "results", "", "`FILE` to write the report to, beside standard output")
	pflag.Usage = func() {
		fmt.Fprintf(os.Stderr, "Measures the real dispatcher with many jobs on a real API server with simulated nodes:\nthe rate beside a floor, what a job costs, memory, and points at Buildkite.\n\nUsage: bench-dispatch [flags]\n\n%s", pflag.CommandLine.FlagUsages())
	}
	pflag.Parse()
	if len(options.Live) == 1 && options.Live[0] == 0 {
		options.Live = nil
	}
	if err := run(options, results); err != nil {
		fmt.Fprintln(os.Stderr, "bench-dispatch:", err)
		os.Exit(1)
	}
}

func run(options dispatchbench.Options, results string) error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the programs: %w", err)
	}
	options.Bin = filepath.Dir(executable)
	if results != "" {
		file, err := os.Create(results)
		if err != nil {
			return fmt.Errorf("write the results: %w", err)
		}
		defer file.Close()
		options.Out = io.MultiWriter(os.Stdout, file)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return dispatchbench.Run(ctx, options)
}
