package dispatchbench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
	"github.com/buildkite/agent-stack-k8s/e2e/testbed"
)

// steadyJobTime is how long jobs take at most while they come steadily.
const steadyJobTime = 20 * time.Second

// steady has jobs come at a rate, run, end and be cleaned up, within the points that
// Buildkite grants a user.
func steady(ctx context.Context, options Options) (err error) {
	if options.Steady == 0 {
		return nil
	}
	bedding := bedOptions(options, simulator.PublishedLimits())
	bedding.JobTime = steadyJobTime
	bed, err := testbed.Up(ctx, bedding)
	defer func() { err = errors.Join(err, bed.Stop()) }()
	if err != nil {
		return err
	}
	dispatcher, err := startDispatcher(ctx, bed, options, "--job-ttl="+options.Settle.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dispatcher.Stop(time.Minute)) }()
	// A dispatcher learns of the limits with its first answers, and of others that use
	// the same token.
	pause(ctx, options.Settle)
	pointsBefore := bed.Simulator.Usage().Users[0].Points
	before, err := usageOf(bed, dispatcher)
	if err != nil {
		return err
	}
	jobs, err := scheduleSteadily(ctx, bed, options)
	if err != nil {
		return err
	}
	if err := bed.Drain(ctx); err != nil {
		return err
	}
	user := bed.Simulator.Usage().Users[0]
	after, err := usageOf(bed, dispatcher)
	if err != nil {
		return err
	}
	pause(ctx, 3*options.Settle/2) // the last pods are deleted, and audited
	return reportSteady(options, bed, jobs, steadyResult{points: user.Points - pointsBefore, user: user, used: after.since(before)})
}

func scheduleSteadily(ctx context.Context, bed *testbed.Testbed, options Options) ([]testbed.Job, error) {
	var all []testbed.Job
	ticker := time.NewTicker(time.Duration(float64(time.Second) / options.SteadyRate))
	defer ticker.Stop()
	for end := time.Now().Add(options.Steady); time.Now().Before(end); {
		jobs, err := bed.Schedule(1)
		if err != nil {
			return nil, err
		}
		all = append(all, jobs...)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
	return all, nil
}

type steadyResult struct {
	points int
	user   simulator.Consumption
	used   usage
}

func reportSteady(options Options, bed *testbed.Testbed, jobs []testbed.Job, result steadyResult) error {
	out := options.Out
	count := float64(len(jobs))
	fmt.Fprintf(out, "\n3. Steadily: %d jobs, %g per second for %s, each up to %s long, pods deleted %s after. Buildkite's published limits: 5,000 points per user in 5 minutes.\n",
		len(jobs), options.SteadyRate, options.Steady, steadyJobTime, options.Settle)
	times := bed.Times(jobs)
	fmt.Fprintf(out, "  scheduled -> created: p50 %.2f s, p99 %.2f s, longest %.2f s\n", times.Quantile(.5).Seconds(), times.Quantile(.99).Seconds(), times.Quantile(1).Seconds())
	perJob := float64(result.points) / count
	fmt.Fprintf(out, "  GraphQL points: %.2f per job; at most %d in 5 minutes; refused queries %d\n", perJob, result.user.Peak, result.user.Refused)
	requests, err := requestsOf(bed)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  the dispatcher's requests to the API server, per job: %s\n", perJobText(requests, count))
	if err := printUsage(out, []namedUsage{{name: oursName, used: result.used, jobs: len(jobs)}}); err != nil {
		return err
	}
	fmt.Fprintf(out, "Targets: at most %.0f points per job: %s; never above %d points in 5 minutes: %s.\n", targetPoints, verdict(perJob <= targetPoints), targetPeak, verdict(result.user.Peak <= targetPeak && result.user.Refused == 0))
	problems := []error{}
	if perJob > targetPoints {
		problems = append(problems, options.missed("%.2f points per job; want %.0f", perJob, targetPoints))
	}
	if result.user.Peak > targetPeak || result.user.Refused > 0 {
		problems = append(problems, options.missed("%d points in 5 minutes, %d queries refused", result.user.Peak, result.user.Refused))
	}
	for _, violation := range bed.Violations(jobs) {
		problems = append(problems, errors.New(violation))
	}
	return errors.Join(problems...)
}

func requestsOf(bed *testbed.Testbed) (map[string]int, error) {
	all, err := bed.Plane.Requests()
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, request := range all {
		counts[request.Verb+" "+request.Resource]++
	}
	return counts, nil
}

func perJobText(counts map[string]int, jobs float64) string {
	var parts []string
	sum := 0
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		sum += counts[name]
		parts = append(parts, fmt.Sprintf("%s %.2f", name, float64(counts[name])/jobs))
	}
	return fmt.Sprintf("%.2f (%s)", float64(sum)/jobs, strings.Join(parts, ", "))
}
