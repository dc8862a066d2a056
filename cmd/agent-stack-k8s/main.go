// Command agent-stack-k8s is for people who write pipelines and pods, and for
// those who run the clusters: it checks them, shows what becomes of them, and
// says what is wrong. See --help.
package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// version is set when a release is built.
var version = "dev"

const usageHead = `Tools for Buildkite jobs that run as Kubernetes pods.

Usage: agent-stack-k8s COMMAND [options]

Commands:
`

const usageTail = `
Each takes --help, which has examples and documents the exit status. Only doctor
and explain talk to a cluster, and they change nothing. Colours are used on a
terminal, unless NO_COLOR is set.

Examples:
  agent-stack-k8s render -f .buildkite/pipeline.yml --step build -o diff
  agent-stack-k8s doctor --context production
  agent-stack-k8s explain 0190a7f4-5c3e-4d2b-9a6f-1b2c3d4e5f60
`

// statusTrouble is the exit status of a command line that makes no sense.
const statusTrouble = 2

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// allCommands are those that do something and those about the program itself.
func allCommands() []command {
	return append(slices.Clone(commands),
		command{"completion", "Print a script for a shell that completes commands and options.", completionMain, nil},
		command{"version", "Print the version.", versionMain, nil},
	)
}

func usage() string {
	var text strings.Builder
	text.WriteString(usageHead)
	for _, command := range allCommands() {
		fmt.Fprintf(&text, "  %-12s%s\n", command.name, command.summary)
	}
	text.WriteString(usageTail)

	return text.String()
}

func versionMain(_ []string, version string, _ io.Reader, stdout, _ io.Writer) int {
	fmt.Fprintln(stdout, version)

	return 0
}

// run is main with its surroundings as parameters. It returns the exit status.
func run(arguments []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(arguments) == 0 {
		fmt.Fprint(stderr, usage())

		return statusTrouble
	}
	switch name := arguments[0]; {
	case name == "help", name == "--help", name == "-h":
		if len(arguments) > 1 && name == "help" {
			return run([]string{arguments[1], "--help"}, stdin, stdout, stderr)
		}
		fmt.Fprint(stdout, usage())

		return 0
	case name == "--version":
		return versionMain(nil, version, stdin, stdout, stderr)
	case strings.HasPrefix(name, "__complete"):
		return complete(arguments, stdout, stderr)
	}
	for _, command := range allCommands() {
		if command.name == arguments[0] {
			return command.main(arguments[1:], version, stdin, stdout, stderr)
		}
	}
	if text := controllersTurn(arguments); text != "" {
		fmt.Fprint(stderr, text)

		return statusTrouble
	}
	fmt.Fprintf(stderr, "agent-stack-k8s: unknown command %q\n\n%s", arguments[0], usage())

	return statusTrouble
}
