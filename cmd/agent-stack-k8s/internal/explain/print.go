package explain

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/terminal"
)

// print shows a report to a person.
func (r *Report) print(out io.Writer, paint terminal.Painter) {
	subject := "The pod"
	if r.Job.UUID != "" {
		subject = "Job " + r.Job.UUID
	}
	fmt.Fprintf(out, "%s %s.\n", paint.Paint(terminal.Bold, subject), paint.Paint(r.style(), r.Summary))
	if !r.Since.IsZero() {
		fmt.Fprintf(out, "Since %s.\n", terminal.Since(r.Since))
	}
	r.printWhere(out)
	section(out, paint, "Why", r.Why)
	section(out, paint, "What to do", r.Next)
	r.printPhases(out, paint)
	r.printContainers(out, paint)
	section(out, paint, "Last events", r.Events)
	section(out, paint, "Looked at", r.Looked)
}

func (r *Report) style() terminal.Style {
	switch r.State {
	case StateStuck, StateFailed, StateLost:
		return terminal.Red
	case StateRunning, StateEnded, StateStarted:
		return terminal.Green
	default:
		return terminal.Yellow
	}
}

func (r *Report) printWhere(out io.Writer) {
	if pod := r.Pod; pod != nil {
		node := "no node yet"
		if pod.Node != "" {
			node = "node " + pod.Node
		}
		attempt := ""
		if pod.Attempt > 1 {
			attempt = fmt.Sprintf(", pod %d of this job", pod.Attempt)
		}
		fmt.Fprintf(out, "Pod %s/%s on %s, queue %s%s.\n", pod.Namespace, pod.Name, node, pod.Queue, attempt)
	}
	if r.Job.State != "" {
		agent := ""
		if r.Job.Agent != "" {
			agent = ", agent " + r.Job.Agent
		}
		fmt.Fprintf(out, "Buildkite: %s%s.\n", r.Job.State, agent)
	}
	if r.Cause != "" {
		fmt.Fprintf(out, "Cause: %s (docs/failures.md).\n", r.Cause)
	}
}

// section prints paragraphs below a heading; lines of a paragraph are indented.
func section(out io.Writer, paint terminal.Painter, heading string, paragraphs []string) {
	if len(paragraphs) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s:\n", paint.Paint(terminal.Bold, heading))
	for _, paragraph := range paragraphs {
		fmt.Fprintf(out, "  %s\n", strings.ReplaceAll(strings.TrimSpace(paragraph), "\n", "\n    "))
	}
}

func (r *Report) printPhases(out io.Writer, paint terminal.Painter) {
	if len(r.Phases) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s:\n", paint.Paint(terminal.Bold, "Phases"))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, phase := range r.Phases {
		lasts := ""
		if phase.Running {
			lasts = "  so far"
		}
		fmt.Fprintf(table, "  %s\t%s%s\n", phase.Name, terminal.Duration(time.Duration(phase.Seconds*float64(time.Second))), lasts)
	}
	_ = table.Flush()
}

func (r *Report) printContainers(out io.Writer, paint terminal.Painter) {
	if len(r.Containers) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s:\n", paint.Paint(terminal.Bold, "Containers"))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, container := range r.Containers {
		mark := " "
		if container.IsTrouble {
			mark = "!"
		}
		fmt.Fprintf(table, "%s %s\t%s\t%s\t%s\n", mark, container.Name, container.Role, container.Image, container.State)
	}
	_ = table.Flush()
}
