// Command soak runs jobs for a long time while faults happen. `make soak` builds
// what it needs and runs it.
package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/buildkite/agent-stack-k8s/e2e/soak"
)

func main() {
	var results, note string
	options := soak.Options{Out: os.Stdout, JobTime: 8 * time.Second, JobTTL: 20 * time.Second}
	pflag.DurationVar(&options.Duration, "duration", time.Hour, "how long jobs are scheduled")
	pflag.Float64Var(&options.Rate, "rate", 1, "jobs per second")
	pflag.DurationVar(&options.Warm, "warm-up", time.Minute, "how long jobs run without faults before")
	pflag.DurationVar(&options.Settle, "settle", 2*time.Minute, "how long everything is left alone before a sample")
	pflag.DurationVar(&options.Pause, "pause", 20*time.Second, "longest time between two faults")
	pflag.Uint64Var(&options.Seed, "seed", rand.Uint64N(1<<32), "which faults happen; random unless given")
	pflag.StringVar(&options.Manifests, "manifests", "manifests", "`DIRECTORY` of the manifests")
	pflag.StringVar(&results, "results", "", "`FILE` to write the report to, beside standard output")
	pflag.StringVar(&note, "note", "", "what else to say at the top of the report")
	pflag.Usage = func() {
		fmt.Fprintf(os.Stderr, "Runs jobs for a long time against the real dispatcher, mutator and API server while\nfaults happen at random, and compares what the dispatcher holds before and after.\n\nUsage: soak [flags]\n\n%s", pflag.CommandLine.FlagUsages())
	}
	pflag.Parse()
	if note != "" {
		options.Note = "\n" + note
	}
	if err := run(options, results); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(options soak.Options, results string) error {
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
	return soak.Run(ctx, options)
}
