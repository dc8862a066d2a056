// Command check-schema holds the part of Buildkite's GraphQL schema that this
// project wrote down, and every query it sends, against Buildkite's own schema.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
)

// Exit statuses.
const (
	exitCompatible   = 0
	exitIncompatible = 1
	exitUsage        = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its inputs and outputs as parameters. It returns the exit
// status: 0 compatible, 1 differences found, 2 wrong usage or an unreadable file.
func run(args []string, stdout, stderr io.Writer) int {
	flags := pflag.NewFlagSet("check-schema", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	schemaFile := flags.String("schema", "", "Buildkite's GraphQL schema, in schema language (required)")
	subsetFile := flags.String("subset", "../dispatcher/buildkite/schema.graphql", "the subset to check")
	queryFiles := flags.StringSlice("operations", []string{"../dispatcher/buildkite/operations.graphql", "../cmd/agent-stack-k8s/internal/buildkite/operations.graphql"}, "files of queries to check")

	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return exitCompatible
		}
		fmt.Fprintf(stderr, "check-schema: %v\n", err)
		return exitUsage
	}
	if *schemaFile == "" {
		fmt.Fprintln(stderr, "check-schema: --schema is required: the file with Buildkite's GraphQL schema. "+
			"Download it from Buildkite's GraphQL explorer and run: make check-schema SCHEMA=schema.graphql")
		return exitUsage
	}

	differences, checked, err := check(*schemaFile, *subsetFile, *queryFiles)
	if err != nil {
		fmt.Fprintf(stderr, "check-schema: %v\n", err)
		return exitUsage
	}
	for _, difference := range differences {
		fmt.Fprintln(stdout, difference)
	}
	if len(differences) > 0 {
		fmt.Fprintf(stderr, "check-schema: %d differences from %s\n", len(differences), *schemaFile)
		return exitIncompatible
	}
	fmt.Fprintf(stdout, "compatible: %d types and %d operations agree with %s\n", checked.types, checked.operations, *schemaFile)
	return exitCompatible
}
