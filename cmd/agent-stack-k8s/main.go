// Command agent-stack-k8s is for people who write pipelines and pods: it checks
// them and shows what becomes of them, without a cluster. See --help.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/render"
)

// version is set when a release is built.
var version = "dev"

const usage = `Tools for Buildkite jobs that run as Kubernetes pods.

Usage: agent-stack-k8s COMMAND [options]

Commands:
  lint      Check pipeline files and the kubernetes plugins in them.
  render    Show the pod that a step or a Kubernetes object becomes.
  version   Print the version.

Each takes --help, which also documents the exit status. Neither lint nor render
needs a cluster.
`

// statusTrouble is the exit status of a command line that makes no sense.
const statusTrouble = 2

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with its surroundings as parameters. It returns the exit status.
func run(arguments []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(arguments) == 0 {
		fmt.Fprint(stderr, usage)

		return statusTrouble
	}
	command, rest := arguments[0], arguments[1:]
	switch command {
	case "lint":
		return lint.Main(rest, version, stdin, stdout, stderr)
	case "render":
		return render.Main(rest, version, stdin, stdout, stderr)
	case "version", "--version":
		fmt.Fprintln(stdout, version)

		return 0
	case "help", "--help", "-h":
		fmt.Fprint(stdout, usage)

		return 0
	default:
		fmt.Fprintf(stderr, "agent-stack-k8s: unknown command %q\n\n%s", command, usage)

		return statusTrouble
	}
}
