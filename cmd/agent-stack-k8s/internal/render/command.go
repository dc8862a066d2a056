// Package render shows the pod that admission would make.
package render

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/admission"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/terminal"
)

const usage = `Show the pod that a pipeline's step or a Kubernetes object becomes at admission.

Usage: agent-stack-k8s render -f FILE [--step NAME] [-n NAMESPACE] [--config FILE] [--explain | -o FORMAT]

FILE is - for standard input, a directory, of which the files that end in .yaml, .yml
and .json are read, or one of
  - a pipeline: each command step is made into the pod that the dispatcher would
    submit for its job, and this pod is shown after admission. The job's UUID and
    addresses are made up.
  - Kubernetes objects: a Pod, or an object with a pod template (Job, CronJob,
    Deployment, ReplicaSet, StatefulSet, DaemonSet, KEDA ScaledJob), of which the
    pod is shown. Other kinds beside them are left out, with a note.

The mutator's own code makes the pod. What other parts of a cluster do at
admission is not shown, but for the restart policy that the API server fills in.
Variables ($NAME, ${NAME}) and {{matrix}} are not filled in.

With --explain each line says behind it where its value comes from: pod (the step's
podSpec or the object itself), dispatcher, template, platform default, resource
class, platform patch, step image, plugin, plugin patch, or injected (what makes
the pod a job runner). What was there and was replaced is named, too.

Examples:
  agent-stack-k8s render -f .buildkite/pipeline.yml --step build
  agent-stack-k8s render -f .buildkite/pipeline.yml --step build -o diff
  agent-stack-k8s render -f pod.yaml --config mutator.yaml --explain
  kubectl get cronjob nightly -o yaml | agent-stack-k8s render -f -

Options:
%s
Exit status: 0 if every pod would be admitted; 1 if one would be refused, with the
reasons on standard error; 2 if a file cannot be read or the command line is
wrong. Admission's warnings go to standard error.
`

// Exit statuses.
const (
	statusAdmitted = 0
	statusRefused  = 1
	statusTrouble  = 2
)

// options is the command line.
type options struct {
	file, step, namespace, configFile, templateFile, format, color string
	explain                                                        bool
}

// Main is the render subcommand. It returns the exit status.
func Main(arguments []string, version string, stdin io.Reader, stdout, stderr io.Writer) int {
	options, colored, help, err := parse(arguments, stdout)
	if help != "" {
		fmt.Fprint(stdout, help)

		return statusAdmitted
	}
	status := statusTrouble
	if err == nil {
		r := renderer{options: options, stdout: stdout, stderr: stderr, colored: colored}
		status, err = r.run(version, stdin)
	}
	if err != nil {
		fmt.Fprintf(stderr, "agent-stack-k8s render: %v\n", err)

		return statusTrouble
	}

	return status
}

// run reads what the options name, and renders.
func (r *renderer) run(version string, stdin io.Reader) (status int, err error) {
	if r.config, err = admission.ReadConfig(r.options.configFile, version); err != nil {
		return statusTrouble, err
	}
	if r.templates, err = admission.ReadTemplates(r.options.templateFile); err != nil {
		return statusTrouble, err
	}

	return r.all(stdin)
}

// Flags are the command's options.
func Flags() *pflag.FlagSet {
	return new(options).flags()
}

func (o *options) flags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("render", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVarP(&o.file, "file", "f", "", "`FILE` to render, a directory, or - for standard input")
	flags.StringVar(&o.step, "step", "", "render only the step with this key, label or path (steps[0])")
	flags.StringVarP(&o.namespace, "namespace", "n", "", "`NAMESPACE` of pods that name none; the mutator's configuration may have\nrules of its own for it")
	flags.StringVar(&o.configFile, "config", "", "mutator configuration `FILE` (default: that of the manifests)")
	flags.StringVar(&o.templateFile, "pod-template", "", "`FILE` with the PodTemplates that steps build on")
	flags.BoolVar(&o.explain, "explain", false, "say behind each line of the YAML where it comes from")
	flags.StringVarP(&o.format, "output", "o", formatYAML, "`FORMAT`: yaml, json, or diff against the pod before the mutator")
	flags.StringVar(&o.color, "color", "auto", terminal.ColorUsage)
	return flags
}

// parse returns the options, or the help that was asked for.
func parse(arguments []string, stdout io.Writer) (o options, colored bool, help string, err error) {
	flags := o.flags()
	err = flags.Parse(arguments)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return o, false, fmt.Sprintf(usage, flags.FlagUsages()), nil
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q; name the file with -f", flags.Arg(0))
	case o.file == "":
		err = errors.New("name a file with -f, or - for standard input")
	case o.format != formatYAML && o.format != formatJSON && o.format != formatDiff:
		err = fmt.Errorf("--output: %q is none of yaml, json, diff", o.format)
	case o.explain && o.format != formatYAML:
		err = fmt.Errorf("--explain is for -o yaml, not for %s", o.format)
	default:
		colored, err = terminal.Colored(o.color, stdout)
	}
	return o, colored, "", err
}
