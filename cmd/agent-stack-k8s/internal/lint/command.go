package lint

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/admission"
)

const usage = `Check the kubernetes plugins of pipeline files, without a cluster.

Usage: agent-stack-k8s lint [-f FILE]... [--config FILE]

Every command step of a pipeline.yml is made into the pod that the dispatcher
would submit, and this pod into the job runner that the mutator would make of it;
what they would refuse is an error here. So are fields that a pod does not have,
values of the wrong type, and mounts of volumes that are not there.

Findings go to standard output, one per line, in the order of the file:

  pipeline.yml:12:9: error: steps[1].plugins.kubernetes.podSpec.containers[0].imge: unknown field; did you mean "image"?

Variables ($NAME, ${NAME}) and {{matrix}} are not filled in; what depends on them
is a warning at most.

Options:
%s
Exit status: 0 if there are no errors, warnings or not; 1 if there are errors; 2
if a file cannot be read or the command line is wrong.
`

// conventional is where pipelines are, as the agent looks for them.
var conventional = []string{
	".buildkite/pipeline.yml", ".buildkite/pipeline.yaml",
	"buildkite.yml", "buildkite.yaml", "buildkite/pipeline.yml", "buildkite/pipeline.yaml",
}

// Exit statuses.
const (
	statusClean    = 0
	statusFindings = 1
	statusTrouble  = 2
)

// Main is the lint subcommand. It returns the exit status.
func Main(arguments []string, version string, stdin io.Reader, stdout, stderr io.Writer) int {
	var files []string
	var configFile string
	flags := pflag.NewFlagSet("lint", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringArrayVarP(&files, "file", "f", nil, "pipeline `FILE` to check, or - for standard input; may be repeated\n(default: the first that exists of .buildkite/pipeline.yml and the\nother places where the agent looks)")
	flags.StringVar(&configFile, "config", "", "mutator configuration `FILE` to check against (default: that of the\nmanifests)")
	err := flags.Parse(arguments)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintf(stdout, usage, flags.FlagUsages())

		return statusClean
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q; name files with -f", flags.Arg(0))
	}
	if err == nil && len(files) == 0 {
		files, err = findPipeline()
	}
	if err != nil {
		fmt.Fprintf(stderr, "agent-stack-k8s lint: %v\n", err)

		return statusTrouble
	}
	config, err := admission.ReadConfig(configFile, version)
	if err != nil {
		fmt.Fprintf(stderr, "agent-stack-k8s lint: %v\n", err)

		return statusTrouble
	}

	return lintFiles(files, linter{config: config}, stdin, stdout, stderr)
}

func lintFiles(files []string, linter linter, stdin io.Reader, stdout, stderr io.Writer) int {
	var total tally
	for _, file := range files {
		name, data, err := read(file, stdin)
		if err != nil {
			fmt.Fprintf(stderr, "agent-stack-k8s lint: %v\n", err)

			return statusTrouble
		}
		report := linter.lint(data)
		for _, finding := range report.findings {
			fmt.Fprintln(stdout, finding.line(name))
		}
		total.add(report)
	}
	fmt.Fprintln(stderr, total.String())
	if total.errors > 0 {
		return statusFindings
	}

	return statusClean
}

func read(file string, stdin io.Reader) (name string, data []byte, err error) {
	if file == "-" {
		data, err = io.ReadAll(stdin)

		return "<stdin>", data, err
	}
	data, err = os.ReadFile(file)

	return file, data, err
}

func findPipeline() ([]string, error) {
	for _, file := range conventional {
		if _, err := os.Stat(file); err == nil {
			return []string{file}, nil
		}
	}

	return nil, errors.New("there is no .buildkite/pipeline.yml here; name a file with -f, or - for standard input")
}

// tally counts what was done and found.
type tally struct {
	steps, errors, warnings int
}

func (t *tally) add(r report) {
	t.steps += r.steps
	for _, finding := range r.findings {
		if finding.warning {
			t.warnings++
		} else {
			t.errors++
		}
	}
}

func (t *tally) String() string {
	return fmt.Sprintf("%s checked: %s, %s", count(t.steps, "command step"), count(t.errors, "error"), count(t.warnings, "warning"))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}

	return fmt.Sprintf("%d %ss", n, noun)
}
