// Command entrypoint is the program that every container of a Buildkite job's pod
// starts with. Pods copy it, so it is small, static and imports next to nothing.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/install"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/interpose"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/supervise"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/wrapped"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// version is set when a release is built.
var version = "dev"

const usage = `Usage: entrypoint SUBCOMMAND [ARGUMENT...]

The pod-side program of agent-stack-k8s. The mutator starts it in every container
of a job's pod; people have no need to.

  install PATH   Copy this program to PATH.
  agent          Supervise the pod, from the agent's container.
  run            Wait for a wrapped container's turn and run its part of the job.
  exec           Run a container's own command; given to the agent as the shell.
  version        Print the version.

Each takes --help.
`

func main() {
	os.Exit(dispatch(os.Args[1:], os.Stdout, os.Stderr))
}

func dispatch(arguments []string, stdout, stderr io.Writer) int {
	if len(arguments) == 0 {
		fmt.Fprint(stderr, usage)

		return 1
	}
	subcommand, rest := arguments[0], arguments[1:]
	switch subcommand {
	case contract.EntrypointInstall:
		return install.Main(rest, stdout, stderr)
	case contract.EntrypointAgent:
		return supervise.Main(rest, stdout, stderr)
	case contract.EntrypointRun:
		return wrapped.Main(rest, stdout, stderr)
	case contract.EntrypointExec:
		return interpose.Main(rest, stdout, stderr)
	case "version", "--version":
		fmt.Fprintln(stdout, version)

		return 0
	case "help", "--help", "-h":
		fmt.Fprint(stdout, usage)

		return 0
	default:
		fmt.Fprintf(stderr, "entrypoint: unknown subcommand %q\n\n%s", subcommand, usage)

		return 1
	}
}
