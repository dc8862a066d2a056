// Command crash kills dispatchers at random. `make crash` builds what it needs and
// runs it.
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

	"github.com/spf13/pflag"

	"github.com/buildkite/agent-stack-k8s/e2e/crash"
)

func main() {
	var results string
	options := crash.Options{Out: os.Stdout}
	pflag.IntVar(&options.Jobs, "jobs", 500, "jobs to run")
	pflag.IntVar(&options.Kills, "kills", 50, "times to kill the dispatcher meanwhile")
	pflag.Uint64Var(&options.Seed, "seed", rand.Uint64N(1<<32), "when the kills are; random unless given")
	pflag.StringVar(&options.Dispatcher, "dispatcher", "", "`FILE` of another dispatcher to kill, such as one without a defence")
	pflag.StringVar(&options.Manifests, "manifests", "manifests", "`DIRECTORY` of the manifests")
	pflag.StringVar(&results, "results", "", "`FILE` to write the report to, beside standard output")
	pflag.Usage = func() {
		fmt.Fprintf(os.Stderr, "Kills the real dispatcher at random while it works on a real API server, starts it\nagain, and asks whether each job was acquired once and finished once.\n\nUsage: crash [flags]\n\n%s", pflag.CommandLine.FlagUsages())
	}
	pflag.Parse()
	if err := run(options, results); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func run(options crash.Options, results string) error {
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
	return crash.Run(ctx, options)
}
