package doctor

import (
	"fmt"
	"io"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/terminal"
)

var styles = map[Status]terminal.Style{Failed: terminal.Red, Unknown: terminal.Yellow, Warning: terminal.Yellow, OK: terminal.Green}

// print shows the results in the order of the checks, and a line that counts
// them.
func (r *Report) print(out io.Writer, paint terminal.Painter, quiet bool) {
	for _, result := range r.Results {
		if quiet && result.Status == OK {
			continue
		}
		fmt.Fprintf(out, "%s  %s: %s: %s\n", paint.Paint(styles[result.Status], fmt.Sprintf("%-7s", result.Status)),
			paint.Paint(terminal.Bold, result.Check), result.Where, result.What)
		if result.Mend != "" {
			fmt.Fprintf(out, "         %s\n", paint.Paint(terminal.Cyan, "mend: ")+result.Mend)
		}
	}
	fmt.Fprintf(out, "%s: %d failed, %d unknown, %s\n",
		count(len(r.Results), "check"), r.Counts[Failed], r.Counts[Unknown], count(r.Counts[Warning], "warning"))
}
