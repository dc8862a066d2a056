package render

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/admission"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator"
)

// renderer renders one file.
type renderer struct {
	config         mutator.Config
	options        options
	stdout, stderr io.Writer
	colored        bool
	// printed counts the pods shown so far.
	printed int
}

// input is a pod as its creator submits it.
type input struct {
	// name says where it is from, for messages: "steps[0] (build)".
	name string
	pod  json.RawMessage
	// errs are why there is no pod.
	errs field.ErrorList
	// authorPath translates a pod's paths into those of the file.
	authorPath func(string) string
}

// file renders everything in the file.
func (r *renderer) file(stdin io.Reader) (int, error) {
	data, err := r.read(stdin)
	if err != nil {
		return 0, err
	}
	documents, problems := document.Parse(data)
	for _, problem := range problems {
		return 0, fmt.Errorf("%s:%d: %s", r.options.file, problem.Line, problem.Text)
	}
	if len(documents) == 0 {
		return 0, fmt.Errorf("%s: nothing to render", r.options.file)
	}
	inputs, err := r.inputs(documents)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", r.options.file, err)
	}

	status := statusAdmitted
	for _, in := range inputs {
		admitted, err := r.render(in)
		if err != nil {
			return 0, fmt.Errorf("%s: %s: %w", r.options.file, in.name, err)
		}
		if !admitted {
			status = statusRefused
		}
	}

	return status, nil
}

func (r *renderer) read(stdin io.Reader) ([]byte, error) {
	if r.options.file == "-" {
		return io.ReadAll(stdin)
	}

	return os.ReadFile(r.options.file)
}

func (r *renderer) inputs(documents []*document.Node) ([]input, error) {
	if pipeline.Is(documents[0]) {
		return stepInputs(documents[0], r.options.step)
	}
	if r.options.step != "" {
		return nil, fmt.Errorf("--step is for pipelines, and this is none")
	}
	var inputs []input
	for _, node := range documents {
		in, err := objectInput(node)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	}

	return inputs, nil
}

// stepInputs dispatches the steps of a pipeline.
func stepInputs(root *document.Node, name string) ([]input, error) {
	steps, err := pipeline.Steps(root)
	if err != nil {
		return nil, err
	}
	var inputs []input
	var names []string
	for number, step := range steps {
		names = append(names, step.Name())
		if name != "" && !step.Is(name) {
			continue
		}
		job, err := step.Job(number)
		if err != nil {
			return nil, err
		}
		in := input{name: step.Name(), authorPath: func(path string) string { return step.Path + "." + jobpod.AuthorPath(path) }}
		in.pod, in.errs = admission.Dispatch(job)
		inputs = append(inputs, in)
	}
	if len(inputs) == 0 && name != "" {
		return nil, fmt.Errorf("no command step %q; there are %q", name, names)
	}
	if len(inputs) == 0 {
		return nil, fmt.Errorf("no command steps, so no jobs")
	}

	return inputs, nil
}

// render shows one pod and says whether it would be admitted.
func (r *renderer) render(in input) (bool, error) {
	errs := in.errs
	var outcome admission.Outcome
	if len(errs) == 0 {
		var err error
		if outcome, errs, err = admission.Review(r.config, in.pod); err != nil {
			return false, err
		}
	}
	for _, problem := range errs {
		fmt.Fprintf(r.stderr, "%s: error: %s: %s\n", in.name, in.authorPath(problem.Field), problem.ErrorBody())
	}
	if len(errs) > 0 {
		return false, nil
	}
	if outcome.Skipped {
		fmt.Fprintf(r.stderr, "%s: not a job's pod, and not changed: it has no label buildkite.com/inject: \"true\"\n", in.name)
	}
	for _, warning := range outcome.Warnings {
		fmt.Fprintf(r.stderr, "%s: warning: %s\n", in.name, warning)
	}

	return true, r.print(in, outcome.Pod)
}
