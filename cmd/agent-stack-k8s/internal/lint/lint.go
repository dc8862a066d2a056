// Package lint checks pipelines: their own keys, and the pods that their steps
// become. What the dispatcher and the mutator refuse it takes from their own
// code, what the API server refuses from podrules.
package lint

import (
	"bytes"
	"fmt"

	gopipeline "github.com/buildkite/go-pipeline"
	"github.com/buildkite/go-pipeline/warning"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/admission"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/structure"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/mutator"
)

// report is what came of one file.
type report struct {
	steps    int
	findings []finding.Finding
}

type linter struct {
	config mutator.Config
	// templates are nil where those of the cluster are not known.
	templates admission.Templates
}

// lint checks one file.
func (l linter) lint(data []byte) report {
	documents, problems := document.Parse(data)
	var r report
	for _, problem := range problems {
		r.syntax(problem.Position, finding.Error, problem.Text)
	}
	if len(problems) > 0 {
		return r
	}
	if len(documents) == 0 {
		r.syntax(document.Position{}, finding.Error, "there are no steps; want a list of steps under the key steps")

		return r
	}
	root := documents[0]
	steps, err := pipeline.Steps(root)
	if err != nil {
		text := err.Error()
		if kind := root.Get("kind").Text(); kind != "" && root.Get("apiVersion") != nil {
			text = fmt.Sprintf("a Kubernetes %s, not a pipeline; see agent-stack-k8s render", kind)
		}
		r.syntax(root.Position, finding.Error, text)

		return r
	}
	if len(documents) > 1 {
		r.syntax(documents[1].Position, finding.Warning, "Buildkite reads the first document of a file only; this one is ignored")
	}
	r.steps = len(steps)
	known := structure.Check(root)
	r.findings = append(r.findings, known...)
	for number, step := range steps {
		r.findings = append(r.findings, l.step(step, number, known)...)
	}
	if !r.hasErrors() {
		r.upload(data)
	}
	r.findings = finding.Sort(r.findings)

	return r
}

func (r *report) syntax(at document.Position, severity finding.Severity, text string) {
	r.findings = append(r.findings, finding.Finding{Position: at, Severity: severity, Rule: finding.Syntax, Text: text})
}

func (r *report) hasErrors() bool {
	for _, one := range r.findings {
		if one.Severity == finding.Error {
			return true
		}
	}

	return false
}

// upload has the agent's own code read the file, as the agent does before it
// uploads it. What that finds and our checks do not has no place.
func (r *report) upload(data []byte) {
	_, err := gopipeline.Parse(bytes.NewReader(data))
	if err != nil && warning.As(err) == nil {
		r.syntax(document.Position{}, finding.Error, "the agent would not upload the file: "+err.Error())
	}
}
