// Package doctor checks an installation and says how to mend it.
package doctor

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

const usage = `Check an installation in a cluster, and say how to mend what is wrong.

Usage: agent-stack-k8s doctor [options]

Looked at are the webhook and the policies (there, and not edited), the webhook's
certificate, its issuer and the CA bundle, the mutator (it answers for a pod in a
dry run), the dispatcher (replicas, leader, permissions), the namespaces of jobs
(opted in, agent token, Pod Security, quotas), the nodes, the API token (valid, its
scopes and points), the queues (there, and not paused), and versions.

Nothing is changed: pods are made in dry runs only. Tokens are never shown. What
you may not look at is reported as unknown.

Examples:
  agent-stack-k8s doctor
  agent-stack-k8s doctor --context production --namespace buildkite
  agent-stack-k8s doctor -o json | jq '.results[] | select(.status == "failed")'

Options:
%s
Exit status: 0 if nothing is wrong, warnings or not; 1 if a check failed; 2 if the
command line is wrong; 3 if none failed and something could not be checked.
`

// Exit statuses.
const (
	statusHealthy   = 0
	statusFailed    = 1
	statusTrouble   = 2
	statusUnchecked = 3
)

// timeout bounds all that is asked.
const timeout = 2 * time.Minute

type options struct {
	cluster                         cluster.Flags
	namespace, token, format, color string
	quiet                           bool
}

// Flags are the command's options.
func Flags() *pflag.FlagSet {
	return new(options).flags()
}

func (o *options) flags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("doctor", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o.cluster.Add(flags)
	flags.StringVarP(&o.namespace, "namespace", "n", "", "check only the dispatcher in this `NAMESPACE`, or that makes its pods in\nit (default: all that are found)")
	flags.StringVar(&o.token, "buildkite-token", "", "API `TOKEN` to use in place of the dispatcher's own (default:\n$BUILDKITE_TOKEN)")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "show only what is not ok")
	flags.StringVarP(&o.format, "output", "o", "text", "`FORMAT`: text or json")
	flags.StringVar(&o.color, "color", "auto", terminal.ColorUsage)
	return flags
}

// Main is the doctor subcommand. It returns the exit status.
func Main(arguments []string, version string, _ io.Reader, stdout, stderr io.Writer) int {
	fail := func(status int, err error) int {
		fmt.Fprintf(stderr, "agent-stack-k8s doctor: %v\n", err)
		return status
	}
	var options options
	flags := options.flags()
	err := flags.Parse(arguments)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintf(stdout, usage, flags.FlagUsages())
		return statusHealthy
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err == nil && options.format != "text" && options.format != "json" {
		err = fmt.Errorf("--output: %q is none of text, json", options.format)
	}
	colored := false
	if err == nil {
		colored, err = terminal.Colored(options.color, stdout)
	}
	if err != nil {
		return fail(statusTrouble, err)
	}
	client, err := options.cluster.Connect()
	if err != nil {
		return fail(statusUnchecked, err)
	}
	if options.token == "" {
		options.token = os.Getenv("BUILDKITE_TOKEN")
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	report := &Report{Context: client.Context, Server: client.Server, Results: []Result{}, Counts: map[Status]int{}}
	doctor := doctor{client: client, version: version, namespace: options.namespace, token: options.token, report: report}
	if err := doctor.examine(ctx); err != nil {
		return fail(statusUnchecked, err)
	}
	if options.format == "json" {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(report); err != nil {
			return fail(statusTrouble, err)
		}
	} else {
		report.print(stdout, terminal.Painter(colored), options.quiet)
	}
	switch {
	case report.has(Failed):
		return statusFailed
	case report.has(Unknown):
		return statusUnchecked
	default:
		return statusHealthy
	}
}
