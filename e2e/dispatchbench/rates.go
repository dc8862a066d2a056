package dispatchbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
	"github.com/buildkite/agent-stack-k8s/e2e/testbed"
)

const (
	// patience bounds one run.
	patience = 10 * time.Minute
	// acquaintance is how long a dispatcher runs before jobs come: one that has just
	// started uses a tenth of the points until it knows that it is alone with them.
	acquaintance = 5 * time.Second
)

// round is one of the two ways to make pods, measured once.
type round struct {
	name    string
	elapsed time.Duration
	used    usage
	times   testbed.Times
	rate    float64
	jobs    int
	// requests are those that the API server counted, by verb and resource, and
	// reviews those of the webhook.
	requests map[string]float64
	reviews  float64
}

// rates measures how fast pods are made, the floor and ours in turn.
func rates(ctx context.Context, options Options) (err error) {
	if options.Rounds == 0 {
		return nil
	}
	bedding := bedOptions(options, lifted())
	// Only the dispatcher's requests would be written down, and not the floor's.
	bedding.Endless, bedding.Audit = true, false
	bed, err := testbed.Up(ctx, bedding)
	defer func() { err = errors.Join(err, bed.Stop()) }()
	if err != nil {
		return err
	}
	r := &racing{bed: bed, options: options}
	if err := r.warmUp(ctx); err != nil {
		return err
	}
	var withNodes []round
	if options.Nodes > 0 {
		if withNodes, err = r.race(ctx, options.Jobs); err != nil {
			return err
		}
		bed.Plane.StopNodes()
	}
	without, err := r.race(ctx, max(options.Jobs/2, 1))
	if err != nil {
		return err
	}
	return r.report(withNodes, without)
}

// racing has the floor and the dispatcher make pods.
type racing struct {
	bed     *testbed.Testbed
	options Options
	floor   *floor
	// profiles counts the rounds that were profiled.
	profiles int
}

// warmUp lets every part work once, and takes a pod for the floor.
func (r *racing) warmUp(ctx context.Context) error {
	const few = 300
	if _, err := r.ours(ctx, few, func() (err error) {
		final, err := finalPod(ctx, r.bed)
		if err != nil {
			return err
		}
		r.floor, err = newFloor(ctx, r.bed, final)
		return err
	}); err != nil {
		return err
	}
	_, err := r.theirs(ctx, few)
	return err
}

// race returns the rounds in the order in which they were, the one that goes first
// changing.
func (r *racing) race(ctx context.Context, jobs int) ([]round, error) {
	var rounds []round
	for i := range r.options.Rounds {
		steps := []func() (round, error){
			func() (round, error) { return r.theirs(ctx, jobs) },
			func() (round, error) { return r.ours(ctx, jobs, nil) },
		}
		if i%2 == 1 {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			one, err := step()
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(os.Stderr, "%s: %s, %.0f pods/s\n", one.name, one.elapsed.Round(100*time.Millisecond), one.rate)
			rounds = append(rounds, one)
		}
	}
	return rounds, nil
}

const (
	floorName = "floor"
	oursName  = "dispatcher"
)

// theirs is the floor's round.
func (r *racing) theirs(ctx context.Context, count int) (round, error) {
	return r.measure(ctx, floorName, nil, func() (time.Duration, testbed.Times, error) {
		elapsed, err := r.floor.create(ctx, count)
		return elapsed, nil, err
	}, count)
}

// ours is the dispatcher's round: it has waited for jobs, and so many come at once.
// The time is from when they are scheduled until the last pod is seen on a watch.
func (r *racing) ours(ctx context.Context, count int, before func() error) (result round, err error) {
	dispatcher, err := startDispatcher(ctx, r.bed, r.options)
	if err != nil {
		return round{}, err
	}
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		return dispatcher.Stop(time.Minute)
	}
	defer func() { err = errors.Join(err, stop()) }()
	pause(ctx, acquaintance)
	var scheduled []testbed.Job
	return r.measure(ctx, oursName, dispatcher, func() (time.Duration, testbed.Times, error) {
		began, seen := time.Now(), r.bed.Agents.SeenCount()
		jobs, err := r.bed.Schedule(count)
		if err != nil {
			return 0, nil, err
		}
		if err := r.bed.AwaitPods(ctx, seen+count, patience); err != nil {
			return 0, nil, errors.Join(err, errors.New("the end of the dispatcher's log:\n"+dispatcher.Tail(10)))
		}
		elapsed := time.Since(began)
		scheduled = jobs
		if before != nil {
			if err := before(); err != nil {
				return 0, nil, err
			}
		}
		return elapsed, r.bed.Times(jobs), nil
	}, count, stop, func() error { return r.bed.Cancel(scheduled) })
}

// startDispatcher starts the dispatcher to be measured, with no limit of pods.
func startDispatcher(ctx context.Context, bed *testbed.Testbed, options Options, arguments ...string) (*controlplane.Dispatcher, error) {
	dispatcher, err := bed.StartDispatcher(controlplane.DispatcherOptions{
		Name: "dispatcher", Executable: options.Dispatcher, Arguments: append([]string{"--max-in-flight=0"}, arguments...),
	})
	if err != nil {
		return nil, err
	}
	return dispatcher, dispatcher.WaitReady(ctx)
}

// measure does the work and clears up behind it: the cleanups, then the pods.
func (r *racing) measure(ctx context.Context, name string, dispatcher *controlplane.Dispatcher, work func() (time.Duration, testbed.Times, error), count int, cleanups ...func() error) (round, error) {
	used, err := usageOf(r.bed, dispatcher)
	if err != nil {
		return round{}, err
	}
	counted, err := r.bed.Plane.APIServerMetrics(ctx)
	if err != nil {
		return round{}, err
	}
	stopProfiles, err := r.profile(ctx, name, dispatcher)
	if err != nil {
		return round{}, err
	}
	elapsed, times, err := work()
	if err := errors.Join(err, stopProfiles()); err != nil {
		return round{}, err
	}
	usedAfter, err := usageOf(r.bed, dispatcher)
	if err != nil {
		return round{}, err
	}
	countedAfter, err := r.bed.Plane.APIServerMetrics(ctx)
	if err != nil {
		return round{}, err
	}
	for _, cleanup := range cleanups {
		if err := cleanup(); err != nil {
			return round{}, err
		}
	}
	return round{
		name: name, jobs: count, elapsed: elapsed, times: times, used: usedAfter.since(used), rate: float64(count) / elapsed.Seconds(),
		requests: requestsBetween(counted, countedAfter), reviews: reviewsIn(countedAfter) - reviewsIn(counted),
	}, r.clear(ctx)
}

func reviewsIn(metrics controlplane.Metrics) float64 {
	return metrics.Sum("apiserver_admission_webhook_admission_duration_seconds_count")
}

// clear deletes all pods at once.
func (r *racing) clear(ctx context.Context) error {
	client := r.bed.Plane.Client().CoreV1().Pods(controlplane.JobNamespace)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if err := client.DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}, metav1.ListOptions{Limit: 500}); err != nil && ctx.Err() != nil {
			return fmt.Errorf("delete the pods: %w", err)
		}
		pods, err := client.List(ctx, metav1.ListOptions{Limit: 1})
		if err == nil && len(pods.Items) == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("delete the pods: %w", ctx.Err())
		}
	}
}

// requestsBetween returns the counted requests for pods and events, by verb.
func requestsBetween(before, after controlplane.Metrics) map[string]float64 {
	requests := map[string]float64{}
	for _, verb := range []string{"POST", "GET", "LIST", "PATCH", "PUT", "DELETE"} {
		for _, resource := range []string{"pods", "events"} {
			for _, subresource := range []string{"", "status", "binding", "log"} {
				labels := []string{`verb="` + verb + `"`, `resource="` + resource + `"`, `subresource="` + subresource + `"`}
				if count := after.Sum("apiserver_request_total", labels...) - before.Sum("apiserver_request_total", labels...); count > 0 {
					requests[strings.TrimSuffix(verb+" "+resource+"/"+subresource, "/")] += count
				}
			}
		}
	}
	return requests
}

// report prints the tables and returns a missed target.
func (r *racing) report(withNodes, without []round) error {
	out := r.options.Out
	fmt.Fprintf(out, "\n1. Rate: %d jobs scheduled at once, half as many without nodes, %d rounds each, in turn. Limits on GraphQL points: Buildkite's times %d.\n", r.options.Jobs, r.options.Rounds, lift)
	fmt.Fprintf(out, "Floor: the dispatcher's own client in this program creates the pods that the mutator makes of the dispatcher's, without our label, as JSON,\n%d at a time as the dispatcher does: no webhook, no policy. Dispatcher: from when the jobs are scheduled until the last pod is seen on a watch.\n", concurrency)
	bare, err := r.table("without nodes or scheduler: the pods stay pending, their jobs scheduled", without)
	if err != nil || withNodes == nil {
		return err
	}
	ratio, err := r.table("with simulated nodes, which run the pods meanwhile", withNodes)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Target: a ratio of at least %.2f: %s (%.2f); without nodes %s (%.2f).\n", targetRatio, verdict(ratio >= targetRatio), ratio, verdict(bare >= targetRatio), bare)
	if ratio < targetRatio || bare < targetRatio {
		return r.options.missed("ratio of rates %.2f, without nodes %.2f; want %.2f", ratio, bare, targetRatio)
	}
	return nil
}

// table prints rounds and returns the ratio of the mean rates.
func (r *racing) table(title string, rounds []round) (float64, error) {
	out := r.options.Out
	fmt.Fprintf(out, "\n%s\n", title)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "  \tseconds\tpods/s\tscheduled -> created p50 s\tp99 s\n")
	means, counts := map[string]float64{}, map[string]float64{}
	used := map[string]namedUsage{}
	for _, one := range rounds {
		latency := "-\t-"
		if one.times != nil {
			latency = fmt.Sprintf("%.1f\t%.1f", one.times.Quantile(.5).Seconds(), one.times.Quantile(.99).Seconds())
		}
		fmt.Fprintf(table, "  %s\t%.1f\t%.0f\t%s\n", one.name, one.elapsed.Seconds(), one.rate, latency)
		means[one.name] += one.rate
		counts[one.name]++
		sum := used[one.name]
		sum.name, sum.jobs = one.name, sum.jobs+one.jobs
		if sum.used == nil {
			sum.used = usage{}
		}
		for program, seconds := range one.used {
			sum.used[program] += seconds
		}
		used[one.name] = sum
	}
	if err := table.Flush(); err != nil {
		return 0, err
	}
	if err := printUsage(out, []namedUsage{used[floorName], used[oursName]}); err != nil {
		return 0, err
	}
	for _, name := range []string{floorName, oursName} {
		fmt.Fprintf(out, "  %s: %s\n", name, requestText(rounds, name))
	}
	ratio := (means[oursName] / counts[oursName]) / (means[floorName] / counts[floorName])
	fmt.Fprintf(out, "  mean rates: floor %.0f, dispatcher %.0f pods/s, ratio %.2f\n", means[floorName]/counts[floorName], means[oursName]/counts[oursName], ratio)
	return ratio, nil
}

// requestText says what the API server was asked for per job, by everybody.
func requestText(rounds []round, name string) string {
	sums, reviews, jobs := map[string]float64{}, 0.0, 0.0
	for _, one := range rounds {
		if one.name != name {
			continue
		}
		jobs += float64(one.jobs)
		reviews += one.reviews
		for request, number := range one.requests {
			sums[request] += number
		}
	}
	var parts []string
	for request, number := range sums {
		if perJob := number / jobs; perJob >= 0.005 {
			parts = append(parts, fmt.Sprintf("%s %.2f", request, perJob))
		}
	}
	slices.Sort(parts)
	return fmt.Sprintf("requests per job, of all programs together: %s; reviews by the mutator %.2f", strings.Join(parts, ", "), reviews/jobs)
}
