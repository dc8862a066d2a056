// Command bench-start measures how fast jobs start. `make bench-start` builds
// what it needs and runs it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/buildkite/agent-stack-k8s/e2e/startbench"
)

func main() {
	var results string
	options := startbench.Options{Log: os.Stderr}
	pflag.IntVar(&options.Runs, "runs", 12, "how many times each kind of pod runs")
	pflag.StringArrayVar(&options.Shapes, "shape", nil, "a `KIND` of pod to run, in place of all; ratios are to the first")
	pflag.BoolVar(&options.FirstJob, "first-job", false, "make each job the first of its build, whose checkout tells Buildkite of the commit")
	pflag.DurationVar(&options.Latency, "latency", 0, "how much later Buildkite and the Git server answer, as over a network")
	pflag.StringVar(&results, "results", "", "`FILE` to write the table to, beside standard output")
	pflag.Usage = func() {
		fmt.Fprintf(os.Stderr, "Measures how long a trivial job takes from its pod's creation to its end, in the\nexisting stack's kind of pod, in ours, and in the least that can run it.\nNeeds root, for a cluster on this machine.\n\nUsage: bench-start [flags]\n\n%s", pflag.CommandLine.FlagUsages())
	}
	pflag.Parse()
	if err := run(options, results); err != nil {
		fmt.Fprintln(os.Stderr, "bench-start:", err)
		os.Exit(1)
	}
}

func run(options startbench.Options, results string) error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the programs: %w", err)
	}
	options.Bin, options.Out = filepath.Dir(executable), os.Stdout
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
	return startbench.Measure(ctx, options)
}
