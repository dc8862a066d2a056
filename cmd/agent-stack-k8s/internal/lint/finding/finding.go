// Package finding is what lint has to say about a place in a file.
package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
)

// Severity tells what has to be mended from what may be meant.
type Severity string

// Severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Finding is something wrong, or odd, and what to do about it.
type Finding struct {
	document.Position

	Severity Severity
	Rule     Rule
	// Path is the field's in the pipeline: steps[0].plugins.kubernetes.podSpec. It
	// is empty for what concerns the file.
	Path string
	// Text says what is wrong and what to do, on one line.
	Text string
}

// Line writes the finding as compilers do, which editors understand.
func (f Finding) Line(file string) string {
	path := ""
	if f.Path != "" {
		path = f.Path + ": "
	}
	place := file
	if f.Position.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", file, f.Position.Line, f.Column)
	}

	return fmt.Sprintf("%s: %s: %s%s [%s]", place, f.Severity, path, f.Message(), f.Rule)
}

// Message is the text as one line, whatever an error had to say.
func (f Finding) Message() string {
	return strings.Join(strings.Fields(f.Text), " ")
}

// Sort puts findings in the order of the file, each once.
func Sort(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Position.Line, b.Position.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Text, b.Text))
	})

	return slices.Compact(findings)
}
