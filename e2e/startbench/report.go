package startbench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// moment is one of the times of a run.
type moment struct {
	name string
	of   func(Run) time.Duration
}

var moments = []moment{
	{"created -> agent registered", func(run Run) time.Duration { return run.Registered }},
	{"created -> first output", func(run Run) time.Duration { return run.FirstOutput }},
	{"created -> finished", func(run Run) time.Duration { return run.Finished }},
}

// report prints a table of medians and 90th percentiles, and the ratios of the
// medians to the first shape's.
func report(out io.Writer, shapes []Shape, runs map[string][]Run) error {
	for _, moment := range moments {
		fmt.Fprintf(out, "\n%s\n", moment.name)
		table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		fmt.Fprintln(table, "  shape\truns\tmedian s\tp90 s\tratio of medians")
		first := percentile(times(runs[shapes[0].Name], moment), 0.5)
		for _, shape := range shapes {
			all := times(runs[shape.Name], moment)
			median := percentile(all, 0.5)
			fmt.Fprintf(table, "  %s\t%d\t%.2f\t%.2f\t%.2f\n", shape.Name, len(all), median, percentile(all, 0.9), median/first)
		}
		if err := table.Flush(); err != nil {
			return fmt.Errorf("print the table: %w", err)
		}
	}
	return nil
}

func times(runs []Run, moment moment) []float64 {
	all := make([]float64, len(runs))
	for i, run := range runs {
		all[i] = moment.of(run).Seconds()
	}
	slices.Sort(all)
	return all
}

// percentile is the nearest rank's value, of the two middle ones their mean.
func percentile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	if middle := len(sorted) / 2; share == 0.5 && len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[int(math.Ceil(share*float64(len(sorted))))-1]
}
