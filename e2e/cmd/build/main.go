// Command build compiles the programs of the local cluster, the demo and the
// tests, and prints the directory they are in.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/buildkite/agent-stack-k8s/e2e/build"
	"github.com/buildkite/agent-stack-k8s/e2e/progress"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "build: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: build [--list] [TARGET...]\n\nTargets are groups or programs; none means all.\n\n")
		for _, group := range build.Groups() {
			fmt.Fprintf(flags.Output(), "  %-14s%s\n", group, strings.Join(build.Names(group), ", "))
		}
		fmt.Fprintf(flags.Output(), "\nflags:\n")
		flags.PrintDefaults()
	}
	list := flags.Bool("list", false, "print the targets and build nothing")
	if err := flags.Parse(arguments); err != nil {
		return err //nolint:wrapcheck // the flag package has printed it with the usage
	}
	if *list {
		for _, group := range build.Groups() {
			fmt.Printf("%s: %s\n", group, strings.Join(build.Names(group), " "))
		}
		return nil
	}
	var options build.Options
	for _, target := range flags.Args() {
		options.Groups = append(options.Groups, build.Group(target))
	}
	builder, err := build.Prepare(ctx, options)
	if err != nil {
		return err
	}
	builder.Progress = progress.New(os.Stderr, "Build", builder.Steps())
	directory, err := builder.Build(ctx)
	if err != nil {
		return err
	}
	fmt.Println(directory)
	return nil
}
