package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/bench"
	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
	"github.com/buildkite/agent-stack-k8s/e2e/testbed"
)

// Options say how long and how hard.
type Options struct {
	// Bin is the directory of the built programs, Manifests the directory manifests
	// of a checkout.
	Bin, Manifests string
	// Duration is how long jobs are scheduled, Rate how many per second.
	Duration time.Duration
	Rate     float64
	// Warm is how long jobs run without faults before the first sample.
	Warm time.Duration
	// Seed decides about the faults.
	Seed uint64
	// Pause is the longest time between two faults; the shortest is a quarter.
	Pause time.Duration
	// Settle is how long the programs are left alone before a sample: idle
	// connections are closed meanwhile.
	Settle time.Duration
	// JobTime is how long a job takes at most, JobTTL how long its pod stays after.
	JobTime, JobTTL time.Duration
	// Note is added to the heading.
	Note string
	Out  io.Writer
}

// drainPatience bounds the time until all jobs have ended.
const drainPatience = 10 * time.Minute

// soak is one run.
type soak struct {
	Options
	bed        *testbed.Testbed
	dispatcher *controlplane.Dispatcher
	random     *rand.Rand
	faults     faults

	mu   sync.Mutex
	jobs []testbed.Job
}

// Run soaks and prints a report. An error is also what ended otherwise than it
// began.
func Run(ctx context.Context, options Options) (err error) {
	s := &soak{Options: options, random: rand.New(rand.NewPCG(options.Seed, 0))}
	fmt.Fprintf(s.Out, `%s, %s
soak --duration=%s --rate=%g --seed=%d (make soak)%s
The real dispatcher and mutator as processes, the real API server, etcd and scheduler; nodes simulated by KWOK; a stand-in for the agents
acquires and finishes the jobs at the simulator's Agent API. GraphQL with the published limits of 5,000 points per user in 5 minutes.
`, time.Now().UTC().Format("2006-01-02 15:04"), bench.Machine(), s.Duration, s.Rate, s.Seed, s.Note)
	s.bed, err = testbed.Up(ctx, testbed.Options{
		Bin: s.Bin, Manifests: s.Manifests, Nodes: 5, JobTime: s.JobTime, Limits: simulator.PublishedLimits(),
	})
	defer func() { err = errors.Join(err, s.bed.Stop()) }()
	if err != nil {
		return err
	}
	s.dispatcher, err = s.bed.StartDispatcher(controlplane.DispatcherOptions{Name: "dispatcher", Arguments: []string{
		"--max-in-flight=500", "--job-ttl=" + s.JobTTL.String(), "--buildkite-request-timeout=15s",
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.dispatcher.Stop(30*time.Second)) }()
	if err := s.dispatcher.WaitReady(ctx); err != nil {
		return err
	}
	before, err := s.warmUp(ctx)
	if err != nil {
		return err
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	after, err := s.sampleAtRest(ctx)
	if err != nil {
		return err
	}
	return s.report(ctx, before, after)
}

// warmUp runs jobs without faults, so that every part has worked once, and samples.
func (s *soak) warmUp(ctx context.Context) (sample, error) {
	s.schedule(ctx, s.Warm)
	return s.sampleAtRest(ctx)
}

// load schedules jobs while faults happen, and prints what is to be seen meanwhile.
func (s *soak) load(ctx context.Context) error {
	s.printHeader()
	began := time.Now()
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	running.Go(func() {
		defer stop()
		s.schedule(loading, s.Duration)
	})
	var failure error
	running.Go(func() {
		if failure = s.spoil(loading); failure != nil {
			stop()
		}
	})
	ticker := time.NewTicker(max(s.Duration/20, 10*time.Second))
	defer ticker.Stop()
	for loading.Err() == nil {
		select {
		case <-loading.Done():
		case <-ticker.C:
			s.printLine(ctx, time.Since(began))
		}
	}
	running.Wait()
	s.bed.Simulator.RemoveFault("")
	s.printLine(ctx, time.Since(began))
	return errors.Join(failure, ctx.Err())
}

// schedule makes jobs at the rate until the time is up.
func (s *soak) schedule(ctx context.Context, duration time.Duration) {
	ticker := time.NewTicker(time.Duration(float64(time.Second) / s.Rate))
	defer ticker.Stop()
	for end := time.Now().Add(duration); time.Now().Before(end) && ctx.Err() == nil; {
		jobs, err := s.bed.Schedule(1)
		if err != nil {
			panic(err) // the simulator is in this process
		}
		s.mu.Lock()
		s.jobs = append(s.jobs, jobs...)
		s.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (s *soak) scheduled() []testbed.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.jobs)
}

// sampleAtRest waits until every job has ended and every pod is gone, and samples.
func (s *soak) sampleAtRest(ctx context.Context) (sample, error) {
	draining, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	if err := s.bed.Drain(draining); err != nil {
		return sample{}, errors.Join(err, errors.New("the end of the dispatcher's log:\n"+s.dispatcher.Tail(20)))
	}
	for {
		pods, err := s.bed.Pods(draining)
		if err == nil && pods == 0 {
			break
		}
		select {
		case <-draining.Done():
			return sample{}, fmt.Errorf("%d pods are left (%w)", pods, errors.Join(err, draining.Err()))
		case <-time.After(time.Second):
		}
	}
	select {
	case <-ctx.Done():
		return sample{}, ctx.Err()
	case <-time.After(s.Settle):
	}
	return s.sample(ctx, true)
}
