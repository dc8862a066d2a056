package bench

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/buildkite/agent-stack-k8s/mutator/webhook"
)

// Target is how long 99 of 100 reviews of TargetShape may take in process.
const Target = 2 * time.Millisecond

// TargetShape is the pod that Target is about.
var TargetShape = Shape{Containers: 1, Variables: 200}

// Report measures and prints tables.
type Report struct {
	Out io.Writer
}

// InProcess prints what a review takes without a network: from the request to
// the response with the encoded patch.
func (r Report) InProcess(ctx context.Context, rounds int) error {
	fmt.Fprintf(r.Out, "\nOne review in process, from the request to the encoded patch\n")
	fmt.Fprintf(r.Out, "(%q does no work of its own; the ratios are to it.\nCPU is that of the process with its garbage collector, per review; other programs on the machine lengthen the rest, but hardly this)\n\n", Copying)
	table := newTable(r.Out, "pod", "webhook", "p50 µs", "p99 µs", "CPU µs", "allocations", "KiB allocated", "pod bytes", "patch bytes", "p50 ratio", "p99 ratio", "CPU ratio")
	var target string
	for _, shape := range Shapes {
		raw, err := shape.Pod()
		if err != nil {
			return err
		}
		contenders, err := Contenders(raw)
		if err != nil {
			return err
		}
		// Batches of the large pod take as long as ten of the others.
		count := max(1, rounds*200/max(200, shape.Containers*shape.Variables))
		results, err := InProcess(ctx, contenders, raw, count)
		if err != nil {
			return err
		}
		for i, result := range results {
			row(table, cell(i, shape), result.Name, micros(result.Percentile(.5)), micros(result.Percentile(.99)), micros(result.CPU),
				fmt.Sprintf("%.0f", result.Allocations), fmt.Sprintf("%.0f", result.AllocatedBytes/1024), result.RequestBytes, result.PatchBytes,
				ratio(result.Percentile(.5), results[1].Percentile(.5)), ratio(result.Percentile(.99), results[1].Percentile(.99)), ratio(result.CPU, results[1].CPU))
		}
		if shape == TargetShape {
			ours, theirs := results[0].Percentile(.99), results[1].Percentile(.99)
			target = fmt.Sprintf("Target at %s: p99 at most %s, not above the Defaulter's: %s and %s, %s.\n",
				shape, Target, ours.Round(time.Microsecond), theirs.Round(time.Microsecond), verdict(ours <= Target && ours <= theirs))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(r.Out, "\n%s", target)
	return nil
}

// settings are the limits that the servers get.
var settings = []struct {
	title       string
	maxInFlight int
}{
	{fmt.Sprintf("--max-in-flight=%d, as shipped", webhook.DefaultMaxInFlight), webhook.DefaultMaxInFlight},
	{"--max-in-flight=1000, no limit", 1000},
}

// HTTP prints what reviews take over the network when 1,000 come at once.
func (r Report) HTTP(ctx context.Context, storms int) error {
	fmt.Fprintf(r.Out, "\n1,000 reviews at once over TLS 1.3 and HTTP/2, %s; client and server share the machine.\nA time is from when the review is sent, so most of it is the wait for the reviews before.\n"+
		"A review is nothing but computing: with no limit all of them share the same cores and hold their memory for longer, and none is done sooner.\n\n", TargetShape)
	raw, err := TargetShape.Pod()
	if err != nil {
		return err
	}
	table := newTable(r.Out, "server", "webhook", "p50 ms", "p99 ms", "reviews/s", "turned away", "bytes in", "bytes out", "p50 ratio", "p99 ratio")
	for _, setting := range settings {
		contenders, err := Contenders(raw)
		if err != nil {
			return err
		}
		load := Load{Clients: 1000, ReviewsPerClient: 1, MaxInFlight: setting.maxInFlight}
		results, err := HTTP(ctx, contenders, raw, load, storms)
		if err != nil {
			return err
		}
		for i, result := range results {
			row(table, cell(i, setting.title), result.Name, millis(result.Percentile(.5)), millis(result.Percentile(.99)),
				fmt.Sprintf("%.0f", float64(len(result.Times))/result.Elapsed.Seconds()), result.TurnedAway, result.RequestBytes, result.ResponseBytes,
				ratio(result.Percentile(.5), results[1].Percentile(.5)), ratio(result.Percentile(.99), results[1].Percentile(.99)))
		}
	}
	return table.Flush()
}

func newTable(out io.Writer, header ...any) *tabwriter.Writer {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row(table, header...)
	return table
}

func row(table *tabwriter.Writer, cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(table, "\t")
		}
		fmt.Fprint(table, cell)
	}
	fmt.Fprintln(table)
}

// cell is the first of a group of rows' title, and nothing for the others.
func cell(i int, title any) any {
	if i > 0 {
		return ""
	}
	return title
}

func micros(d time.Duration) string { return fmt.Sprint(d.Microseconds()) }

func millis(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }

func ratio(a, b time.Duration) string { return fmt.Sprintf("%.2f", float64(a)/float64(b)) }

func verdict(reached bool) string {
	if reached {
		return "reached"
	}
	return "missed"
}
