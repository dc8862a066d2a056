// Command dispatcher runs Buildkite jobs as Kubernetes pods: it polls Buildkite
// for scheduled jobs and submits a pod for each. See --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

// version is set when a release is built.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	boundMemory(ctx, os.LookupEnv)
	status := run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is main with its surroundings as parameters. It returns the exit status:
// 2 for a configuration that cannot work, 1 for a failure later on.
func run(ctx context.Context, arguments []string, lookupEnv func(string) (string, bool), stdout, stderr io.Writer) int {
	options, err := load(arguments, lookupEnv)
	switch {
	case errors.Is(err, errHelp):
		_, _ = io.WriteString(stdout, help())
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "dispatcher: the configuration does not work:\n%s\n", indent(err))
		return 2
	case options.version:
		fmt.Fprintln(stdout, version)
		return 0
	}
	log := newLogger(stderr, options.debug, options.logFormat)
	for _, ignored := range options.ignored {
		log.Warn("an option of the existing stack has no effect", slog.String("option", ignored.origin), slog.String("why", ignored.why))
	}
	config, err := configure(options, log)
	if err != nil {
		fmt.Fprintf(stderr, "dispatcher: the configuration does not work:\n%s\n", indent(err))
		return 2
	}
	log.Info("starting", slog.String("version", version), slog.String("organization", options.org))
	if err := dispatcher.Run(ctx, config); err != nil {
		log.Error("dispatcher ended", slog.Any("error", err))
		return 1
	}
	return 0
}

// newLogger makes the one logger of the process. The Kubernetes libraries log
// through it too, but not their debugging, which would drown ours.
func newLogger(out io.Writer, debug bool, format string) *slog.Logger {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	handler := func(level slog.Level) slog.Handler {
		if format == formatJSON {
			return slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level})
		}
		return slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})
	}
	klog.SetSlogLogger(slog.New(handler(slog.LevelInfo)).With(slog.String("component", "client-go")))
	return slog.New(handler(level))
}
