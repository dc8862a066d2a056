// Package lint checks the kubernetes plugins of a pipeline.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/mutator"
)

// finding is one line of the report.
type finding struct {
	document.Position

	warning bool
	// path is the field's in the pipeline, or "".
	path string
	text string
}

// line writes the finding as compilers do, which editors understand.
func (f finding) line(file string) string {
	severity := "error"
	if f.warning {
		severity = "warning"
	}
	path := ""
	if f.path != "" {
		path = f.path + ": "
	}
	place := file
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", file, f.Line, f.Column)
	}
	// A finding is one line, whatever an error had to say.
	return fmt.Sprintf("%s: %s: %s%s", place, severity, path, strings.Join(strings.Fields(f.text), " "))
}

// report is what came of one file.
type report struct {
	steps    int
	findings []finding
}

type linter struct {
	config mutator.Config
}

// lint checks one file.
func (l linter) lint(data []byte) report {
	documents, problems := document.Parse(data)
	var r report
	for _, problem := range problems {
		r.findings = append(r.findings, finding{Position: problem.Position, text: problem.Text})
	}
	if len(problems) > 0 {
		return r
	}
	if len(documents) == 0 {
		r.findings = append(r.findings, finding{text: "there are no steps; want a list of steps under the key steps"})

		return r
	}
	root := documents[0]
	steps, err := pipeline.Steps(root)
	if err != nil {
		text := err.Error()
		if kind := root.Get("kind").Text(); kind != "" && root.Get("apiVersion") != nil {
			text = fmt.Sprintf("a Kubernetes %s, not a pipeline; see agent-stack-k8s render", kind)
		}
		r.findings = append(r.findings, finding{Position: root.Position, text: text})

		return r
	}
	if len(documents) > 1 {
		r.findings = append(r.findings, finding{
			Position: documents[1].Position, warning: true,
			text: "Buildkite reads the first document of a file only; this one is ignored",
		})
	}
	r.steps = len(steps)
	for number, step := range steps {
		r.findings = append(r.findings, l.step(step, number)...)
	}

	return r.sorted()
}

// sorted puts findings in the order of the file, each once.
func (r report) sorted() report {
	slices.SortStableFunc(r.findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.path, b.path), cmp.Compare(a.text, b.text))
	})
	r.findings = slices.Compact(r.findings)

	return r
}
