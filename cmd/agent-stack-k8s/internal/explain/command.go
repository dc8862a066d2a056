// Package explain says where a job is, since when, and why.
package explain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/terminal"
)

const usage = `Say where a job is, since when, why, and what to do next.

Usage: agent-stack-k8s explain JOB [options]

JOB is the job's UUID, the address of its page in Buildkite, or its pod (POD or
NAMESPACE/POD). A pod made by hand is explained too.

What the cluster knows is always told: the pod, its phases and how long they took,
its containers' states in words, its last events, and what the dispatcher's log
says of the job. With a token for Buildkite's API it is also told what Buildkite
knows, which matters most where there is no pod. The token is taken from
--buildkite-token, $BUILDKITE_TOKEN or --buildkite-token-file, or, if you may read
it, from the dispatcher's own Secret.

Nothing is changed anywhere.

Examples:
  agent-stack-k8s explain 0190a7f4-5c3e-4d2b-9a6f-1b2c3d4e5f60
  agent-stack-k8s explain 'https://buildkite.com/my-org/app/builds/7#0190a7f4-5c3e-4d2b-9a6f-1b2c3d4e5f60'
  agent-stack-k8s explain -n my-ci runner-x7k2p
  agent-stack-k8s explain 0190a7f4-5c3e-4d2b-9a6f-1b2c3d4e5f60 -o json | jq -r .state

Options:
%s
Exit status: 0 if the job was explained; 1 if nothing is known of it; 2 if the
command line is wrong; 3 if the cluster could not be asked.
`

// Exit statuses.
const (
	statusExplained = 0
	statusUnknown   = 1
	statusTrouble   = 2
	statusUnasked   = 3
)

// timeout bounds all that is asked.
const timeout = time.Minute

type options struct {
	cluster                                              cluster.Flags
	namespace, token, tokenFile, endpoint, format, color string
}

// Flags are the command's options.
func Flags() *pflag.FlagSet {
	return new(options).flags()
}

func (o *options) flags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("explain", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o.cluster.Add(flags)
	flags.StringVarP(&o.namespace, "namespace", "n", "", "`NAMESPACE` of the pod (default: for a UUID all, for a pod the context's)")
	flags.StringVar(&o.token, "buildkite-token", "", "API `TOKEN` with GraphQL access (default: $BUILDKITE_TOKEN)")
	flags.StringVar(&o.tokenFile, "buildkite-token-file", "", "`FILE` with the token")
	flags.StringVar(&o.endpoint, "graphql-endpoint", "", "GraphQL API's `URL` (default: the dispatcher's, else Buildkite's)")
	flags.StringVarP(&o.format, "output", "o", "text", "`FORMAT`: text or json")
	flags.StringVar(&o.color, "color", "auto", terminal.ColorUsage)
	return flags
}

// Main is the explain subcommand. It returns the exit status.
func Main(arguments []string, _ string, _ io.Reader, stdout, stderr io.Writer) int {
	fail := func(status int, err error) int {
		fmt.Fprintf(stderr, "agent-stack-k8s explain: %v\n", err)
		return status
	}
	var options options
	flags := options.flags()
	err := flags.Parse(arguments)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintf(stdout, usage, flags.FlagUsages())
		return statusExplained
	}
	if err != nil {
		return fail(statusTrouble, err)
	}
	colored, target, err := options.check(flags, stdout)
	if err != nil {
		return fail(statusTrouble, err)
	}
	client, err := options.cluster.Connect()
	if err != nil {
		return fail(statusUnasked, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	gatherer := gatherer{client: client, options: options}
	facts, err := gatherer.gather(ctx, target)
	if err != nil {
		return fail(statusUnasked, err)
	}
	report := Explain(facts)
	if options.format == "json" {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(report); err != nil {
			return fail(statusTrouble, err)
		}
	} else {
		report.print(stdout, terminal.Painter(colored))
	}
	if report.State == StateUnknown {
		return statusUnknown
	}
	return statusExplained
}

func (o *options) check(flags *pflag.FlagSet, stdout io.Writer) (colored bool, named target, err error) {
	switch {
	case flags.NArg() == 0:
		return false, named, errors.New("name a job: its UUID, its address, or its pod")
	case flags.NArg() > 1:
		return false, named, fmt.Errorf("unexpected argument %q: one job at a time", flags.Arg(1))
	case o.format != "text" && o.format != "json":
		return false, named, fmt.Errorf("--output: %q is none of text, json", o.format)
	}
	if colored, err = terminal.Colored(o.color, stdout); err != nil {
		return false, named, err
	}
	if o.token == "" && o.tokenFile == "" {
		o.token = os.Getenv("BUILDKITE_TOKEN")
	}
	named, err = parseTarget(flags.Arg(0))
	return colored, named, err
}
