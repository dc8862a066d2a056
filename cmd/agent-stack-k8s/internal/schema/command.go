package schema

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/buildkite/agent-stack-k8s/docs"
)

const usage = `Print the JSON Schema (2020-12) of pipelines with the kubernetes plugin.

Usage: agent-stack-k8s schema [pipeline|step|plugin]

Without an argument, and for pipeline, it is that of a pipeline file; step is that of
a step with the plugin, and plugin that of the plugin's configuration alone. Each
needs nothing else, from the network or from disk. It is generated from the types that
the mutator and the Kubernetes API read, and from the checks of agent-stack-k8s lint.

An editor with the YAML language server takes the schema from a line in the pipeline:

  # yaml-language-server: $schema=%s

Examples:
  agent-stack-k8s schema > .buildkite/schema.json
  agent-stack-k8s schema plugin | jq '."$defs".plugin.properties | keys'

Exit status: 0; 2 if the command line is wrong.
`

// parts are what there are schemas of.
var parts = []string{"pipeline", "step", "plugin"}

// Main is the schema subcommand. It returns the exit status.
func Main(arguments []string, _ string, _ io.Reader, stdout, stderr io.Writer) int {
	flags := pflag.NewFlagSet("schema", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	err := flags.Parse(arguments)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintf(stdout, usage, Address)

		return 0
	}
	if err == nil {
		err = write(flags.Args(), stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "agent-stack-k8s schema: %v\n", err)

		return 2
	}

	return 0
}

func write(arguments []string, stdout io.Writer) error {
	switch {
	case len(arguments) > 1:
		return fmt.Errorf("unexpected argument %q", arguments[1])
	case len(arguments) == 1 && !slices.Contains(parts, arguments[0]):
		return fmt.Errorf("no schema of %q; there are those of %s", arguments[0], strings.Join(parts, ", "))
	}
	text := docs.KubernetesPluginSchema
	if len(arguments) == 1 && arguments[0] != parts[0] {
		var err error
		if text, err = Part(text, arguments[0]); err != nil {
			return err
		}
	}
	_, err := stdout.Write(text)

	return err
}
