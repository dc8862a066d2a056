package soak

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// What may remain: connections that the end finds open, and tables of the runtime.
const (
	moreGoroutines = 4
	moreHeap       = 2 << 20
	moreFiles      = 4
)

func (s *soak) printHeader() {
	fmt.Fprintf(s.Out, "\n%8s %9s %6s %6s %11s %9s %9s %6s %14s\n",
		"elapsed", "scheduled", "ended", "pods", "goroutines", "heap MiB", "RSS MiB", "files", "peak points")
}

// printLine shows a moment under load. A program that is being restarted has
// nothing to tell, which is no failure.
func (s *soak) printLine(ctx context.Context, elapsed time.Duration) {
	verdict := s.bed.Simulator.Oracle().Verdict()
	now, err := s.sample(ctx, false)
	if err != nil {
		fmt.Fprintf(s.Out, "%8s %v\n", elapsed.Round(time.Second), err)
		return
	}
	pods := "-" // while the API server is away
	if count, err := s.bed.Pods(ctx); err == nil {
		pods = fmt.Sprint(count)
	}
	usage, _ := s.usage()
	fmt.Fprintf(s.Out, "%8s %9d %6d %6s %11d %9.1f %9.1f %6d %14d\n", elapsed.Round(time.Second), len(s.scheduled()), verdict.Totals.Finished, pods,
		now.goroutines, mebibytes(now.heap), mebibytes(now.memory), now.files, usage)
}

// usage returns the most points that any window of five minutes has seen, and all.
func (s *soak) usage() (peak, total int) {
	user := s.bed.Simulator.Usage().Users[0]
	return user.Peak, user.Points
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// report prints the comparison and returns what is wrong.
func (s *soak) report(_ context.Context, before, after sample) error {
	jobs := s.scheduled()
	happened, requests := s.happened()
	fmt.Fprintf(s.Out, "\nWhat went wrong on purpose: %s.\n%d requests to Buildkite's APIs were spoilt.\n", happened, requests)
	peak, points := s.usage()
	times := s.bed.Times(jobs)
	fmt.Fprintf(s.Out, "GraphQL: %d points, %.2f per job; at most %d in five minutes (80 %% of the limit are 4000).\n", points, float64(points)/float64(len(jobs)), peak)
	fmt.Fprintf(s.Out, "Scheduled -> pod seen, faults included: p50 %s, p99 %s, longest %s.\n", round(times.Quantile(.5)), round(times.Quantile(.99)), round(times.Quantile(1)))

	fmt.Fprintf(s.Out, "\nAt rest, after a garbage collection   before     after\n")
	for _, row := range []struct {
		name          string
		before, after any
	}{
		{"pods", before.pods, after.pods},
		{"dispatcher: goroutines", before.goroutines, after.goroutines},
		{"dispatcher: live heap, MiB", fmt.Sprintf("%.2f", mebibytes(before.heap)), fmt.Sprintf("%.2f", mebibytes(after.heap))},
		{"dispatcher: open files", before.files, after.files},
		{"dispatcher: resident, MiB", fmt.Sprintf("%.1f", mebibytes(before.memory)), fmt.Sprintf("%.1f", mebibytes(after.memory))},
		{"mutator (restarted): resident, MiB", fmt.Sprintf("%.1f", mebibytes(before.mutatorMemory)), fmt.Sprintf("%.1f", mebibytes(after.mutatorMemory))},
	} {
		fmt.Fprintf(s.Out, "  %-34s %8v  %8v\n", row.name, row.before, row.after)
	}
	problems := compare(before, after)
	if peak > 4000 {
		problems = append(problems, fmt.Errorf("%d points in five minutes", peak))
	}
	for _, violation := range s.bed.Violations(jobs) {
		problems = append(problems, errors.New(violation))
	}
	if requests == 0 {
		problems = append(problems, errors.New("no request was spoilt: nothing was shown"))
	}
	if err := errors.Join(problems...); err != nil {
		fmt.Fprintf(s.Out, "\nFAILED:\n  %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return err
	}
	fmt.Fprintf(s.Out, "\nThe oracle: %d jobs, each acquired once and finished once. Goroutines, heap, files and pods are where they began.\n", len(jobs))
	return nil
}

func compare(before, after sample) []error {
	var problems []error
	check := func(what string, before, after, more int64) {
		if after > before+more {
			problems = append(problems, fmt.Errorf("%s grew from %d to %d", what, before, after))
		}
	}
	check("pods", int64(before.pods), int64(after.pods), 0)
	check("goroutines", int64(before.goroutines), int64(after.goroutines), moreGoroutines)
	check("the heap", before.heap, after.heap, moreHeap)
	check("open files", int64(before.files), int64(after.files), moreFiles)
	return problems
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
