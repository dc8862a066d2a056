package startbench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Phases are what the summary in the agent container's termination log tells of a
// run, as times from the pod's creation. Zero where a shape has no such summary.
type Phases struct {
	AgentContainer, LastContainer, JobTaken, CheckoutEnded, CommandEnded time.Duration
}

// phasesOf reads the summary that the entrypoint leaves. Its format is that of
// cmd/entrypoint/internal/supervise, summary.
func phasesOf(pod *corev1.Pod, created time.Time) (Phases, error) {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name != "agent" || status.State.Terminated == nil || status.State.Terminated.Message == "" {
			continue
		}
		var summary struct {
			Began      time.Time          `json:"began"`
			Phases     map[string]float64 `json:"phases"`
			Containers []struct {
				Started float64 `json:"started"`
				Ended   float64 `json:"ended"`
			} `json:"containers"`
		}
		if err := json.Unmarshal([]byte(status.State.Terminated.Message), &summary); err != nil {
			return Phases{}, fmt.Errorf("read the summary in the termination log: %w", err)
		}
		if len(summary.Containers) != 2 {
			return Phases{}, fmt.Errorf("the summary has %d containers, want checkout and the command's", len(summary.Containers))
		}
		at := func(seconds float64) time.Duration {
			return summary.Began.Sub(created) + time.Duration(seconds*float64(time.Second))
		}
		return Phases{
			AgentContainer: at(0), LastContainer: at(summary.Phases["held"]), JobTaken: at(summary.Phases["acquired"]),
			CheckoutEnded: at(summary.Containers[0].Ended), CommandEnded: at(summary.Containers[1].Ended),
		}, nil
	}
	return Phases{}, nil
}

// steps are the phases in their order, with what happens up to each.
var steps = []moment{
	{"the agent's container runs (volumes, sandbox, the containers before it)", func(run Run) time.Duration { return run.Phases.AgentContainer }},
	{"all containers run, the agent is let go", func(run Run) time.Duration { return run.Phases.LastContainer }},
	{"Buildkite has the agent", func(run Run) time.Duration { return run.Registered }},
	{"the agent has the job", func(run Run) time.Duration { return run.Phases.JobTaken }},
	{"the checkout's container is done", func(run Run) time.Duration { return run.Phases.CheckoutEnded }},
	{"the command's container is done", func(run Run) time.Duration { return run.Phases.CommandEnded }},
	{"Buildkite has the result", func(run Run) time.Duration { return run.Finished }},
}

// reportPhases prints where the time goes in the shapes that tell.
func reportPhases(out io.Writer, shapes []Shape, runs map[string][]Run) error {
	for _, shape := range shapes {
		if !slices.ContainsFunc(runs[shape.Name], func(run Run) bool { return run.Phases != Phases{} }) {
			continue
		}
		fmt.Fprintf(out, "\nwhere the time goes: %s\n", shape.Name)
		table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		fmt.Fprintln(table, "  until\tmedian s after created\tmedian s of its own")
		before := func(Run) time.Duration { return 0 }
		for _, step := range steps {
			own := moment{of: func(run Run) time.Duration { return step.of(run) - before(run) }}
			fmt.Fprintf(table, "  %s\t%.3f\t%.3f\n", step.name, percentile(times(runs[shape.Name], step), 0.5), percentile(times(runs[shape.Name], own), 0.5))
			before = step.of
		}
		if err := table.Flush(); err != nil {
			return fmt.Errorf("print the table: %w", err)
		}
	}
	return nil
}
