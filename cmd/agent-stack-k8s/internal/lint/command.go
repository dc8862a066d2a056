package lint

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/pflag"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/admission"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
)

const usage = `Check pipeline files and the kubernetes plugins in them, without a cluster.

Usage: agent-stack-k8s lint [-f FILE|DIRECTORY|-]... [options]

The pipeline's own keys are checked: types of steps, keys, agents, retry, depends_on,
matrix, groups. Every command step is then made into the pod that the dispatcher
would submit, and this pod into the job runner that the mutator would make of it;
what they would refuse is an error here. So is what the Kubernetes API would refuse:
unknown fields, wrong types, mounts without volumes, impossible values. Commands that
do not do what they look like are warnings.

Findings are one per line, in the order of the file, with the rule in brackets:

  pipeline.yml:12:9: error: steps[1].plugins.kubernetes.podSpec.containers[0].imge: unknown field; did you mean "image"? [unknown-field]

The rules are explained in docs/lint.md. Variables ($NAME, ${NAME}) and {{matrix}} are
not filled in; what depends on them is a warning at most.

Examples:
  agent-stack-k8s lint
  agent-stack-k8s lint -f .buildkite --config mutator-config.yaml -o github
  ./pipeline.sh | agent-stack-k8s lint -f -

Options:
%s
Exit status: 0 if there are no errors, warnings or not; 1 if there are errors; 2
if a file cannot be read or the command line is wrong.
`

// Exit statuses.
const (
	statusClean    = 0
	statusFindings = 1
	statusTrouble  = 2
)

// options is the command line.
type options struct {
	files                            []string
	configFile, templateFile, format string
}

// Main is the lint subcommand. It returns the exit status.
func Main(arguments []string, version string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, help, err := parse(arguments)
	if help != "" {
		fmt.Fprint(stdout, help)

		return statusClean
	}
	status := statusTrouble
	if err == nil {
		status, err = run(o, version, stdin, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "agent-stack-k8s lint: %v\n", err)

		return statusTrouble
	}

	return status
}

// Flags are the command's options.
func Flags() *pflag.FlagSet {
	return new(options).flags()
}

func (o *options) flags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("lint", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringArrayVarP(&o.files, "file", "f", nil, "pipeline `FILE` to check, a directory, of which the pipelines that end in\n.yml, .yaml and .json are checked, or - for standard input; may be repeated\n(default: the first that exists of .buildkite/pipeline.yml and the other\nplaces where the agent looks)")
	flags.StringVar(&o.configFile, "config", "", "mutator configuration `FILE` to check against, with its policy and\ndefaults (default: that of the manifests)")
	flags.StringVar(&o.templateFile, "pod-template", "", "`FILE` with the PodTemplates that steps build on; without it what a\ntemplate may have is not missed")
	flags.StringVarP(&o.format, "output", "o", formatText, "`FORMAT`: text, json, or github for annotations of a GitHub workflow")

	return flags
}

// parse returns the options, or the help that was asked for.
func parse(arguments []string) (o options, help string, err error) {
	flags := o.flags()
	err = flags.Parse(arguments)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return o, fmt.Sprintf(usage, flags.FlagUsages()), nil
	case err != nil:
		return o, "", err
	case !slices.Contains(formats, o.format):
		return o, "", fmt.Errorf("--output: %q is none of text, json, github", o.format)
	}
	o.files = append(o.files, flags.Args()...)

	return o, "", nil
}

// run checks the files that the options name.
func run(o options, version string, stdin io.Reader, stdout, stderr io.Writer) (status int, err error) {
	var l linter
	if l.config, err = admission.ReadConfig(o.configFile, version); err != nil {
		return statusTrouble, err
	}
	if o.templateFile != "" {
		if l.templates, err = admission.ReadTemplates(o.templateFile); err != nil {
			return statusTrouble, err
		}
	}
	sources, err := read(o.files, stdin, stderr)
	if err != nil {
		return statusTrouble, err
	}
	var result results
	for _, source := range sources {
		result.add(source.name, l.lint(source.text))
	}
	if err := result.print(o.format, stdout, stderr); err != nil {
		return statusTrouble, err
	}
	if result.Errors > 0 {
		return statusFindings, nil
	}

	return statusClean, nil
}

// results are those of all files.
type results struct {
	Files    []string        `json:"files"`
	Steps    int             `json:"commandSteps"`
	Errors   int             `json:"errors"`
	Warnings int             `json:"warnings"`
	Findings []jsonOfFinding `json:"findings"`
	lines    []string
}

func (r *results) add(file string, of report) {
	r.Files = append(r.Files, file)
	r.Steps += of.steps
	for _, one := range of.findings {
		if one.Severity == finding.Error {
			r.Errors++
		} else {
			r.Warnings++
		}
		r.Findings = append(r.Findings, toJSON(file, one))
		r.lines = append(r.lines, one.Line(file))
	}
}

func (r *results) summary() string {
	return fmt.Sprintf("%s checked: %s, %s", count(r.Steps, "command step"), count(r.Errors, "error"), count(r.Warnings, "warning"))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}

	return fmt.Sprintf("%d %ss", n, noun)
}
