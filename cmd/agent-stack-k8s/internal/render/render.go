package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

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
	templates      admission.Templates
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
	// dispatched are the values of a step's pod without its plugin, untemplated
	// those without its template; nil if the pod is of neither kind.
	dispatched, untemplated leaves
}

// all renders everything in the file, or in the files of the directory.
func (r *renderer) all(stdin io.Reader) (int, error) {
	sources, err := r.sources(stdin)
	if err != nil {
		return 0, err
	}
	status := statusAdmitted
	var none error
	rendered := 0
	for _, source := range sources {
		documents, problems := document.Parse(source.text)
		for _, problem := range problems {
			return 0, fmt.Errorf("%s:%d: %s", source.name, problem.Line, problem.Text)
		}
		inputs, err := r.inputs(source.name, documents)
		if _, madeNoPods := errors.AsType[*noPodError](err); madeNoPods {
			none = fmt.Errorf("%s: %w", source.name, err)

			continue
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", source.name, err)
		}
		for _, in := range inputs {
			rendered++
			if len(sources) > 1 {
				in.name = source.name + ": " + in.name
			}
			admitted, err := r.render(in)
			if err != nil {
				return 0, fmt.Errorf("%s: %s: %w", source.name, in.name, err)
			}
			if !admitted {
				status = statusRefused
			}
		}
	}
	if rendered == 0 && none != nil {
		return 0, none
	}

	return status, nil
}

// inputs returns the pods of a file. Where there are none it is an error, and
// where only some of its objects make none a note.
func (r *renderer) inputs(name string, documents []*document.Node) ([]input, error) {
	if len(documents) == 0 {
		return nil, &noPodError{text: "nothing to render"}
	}
	if pipeline.Is(documents[0]) {
		return r.stepInputs(documents[0])
	}
	if r.options.step != "" {
		return nil, fmt.Errorf("--step is for pipelines, and this is none")
	}
	var inputs []input
	var none error
	for _, object := range objects(documents) {
		in, err := objectInput(object)
		if _, makesNoPods := errors.AsType[*noPodError](err); makesNoPods {
			fmt.Fprintf(r.stderr, "%s: left out: %v\n", name, err)
			none = err

			continue
		}
		if err != nil {
			return nil, err
		}
		if in.pod, err = r.inNamespace(in.pod, false); err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	}
	if len(inputs) == 0 {
		return nil, none
	}

	return inputs, nil
}

// stepInputs dispatches the steps of a pipeline.
func (r *renderer) stepInputs(root *document.Node) ([]input, error) {
	name := r.options.step
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
		template, err := r.templates.For(job)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.Name(), err)
		}
		in := input{name: step.Name(), authorPath: func(path string) string { return step.Path + "." + jobpod.AuthorPath(path) }}
		in.pod, in.errs = admission.Dispatch(job, template)
		if len(in.errs) == 0 {
			if in.pod, err = r.inNamespace(in.pod, true); err != nil {
				return nil, err
			}
		}
		if r.options.explain && len(in.errs) == 0 {
			r.compareWith(&in, job, template)
		}
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

// compareWith notes what the dispatcher makes of the job without its plugins, and
// without the template: what is the same then is not the author's.
func (r *renderer) compareWith(in *input, job jobpod.Job, template json.RawMessage) {
	bare := job
	bare.Env = withoutPlugins(job.Env)
	if raw, errs := admission.Dispatch(bare, nil); len(errs) == 0 {
		if raw, err := r.inNamespace(raw, true); err == nil {
			in.dispatched, _ = flatten(raw)
		}
	}
	if len(template) <= len("{}") {
		return
	}
	in.untemplated = leaves{}
	if raw, errs := admission.Dispatch(job, json.RawMessage("{}")); len(errs) == 0 {
		in.untemplated, _ = flatten(raw)
	}
}
