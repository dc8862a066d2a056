package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/bench"
	"github.com/buildkite/agent-stack-k8s/e2e/testbed"
)

// Options say how much.
type Options struct {
	// Bin is the directory of the built programs, Manifests the directory manifests
	// of a checkout.
	Bin, Manifests string
	// Dispatcher is a dispatcher to kill in place of the built one.
	Dispatcher string
	// Jobs and Kills are those with one dispatcher; each of the cases with two has a
	// fifth.
	Jobs, Kills int
	// Seed decides when the kills are.
	Seed uint64
	Out  io.Writer
}

const (
	jobTime = 2 * time.Second
	// drainPatience bounds the time from the last kill until all jobs have ended.
	drainPatience = 5 * time.Minute
)

// scenario is who there is to be killed.
type scenario struct {
	name string
	// replicas is how many dispatchers run at a time; elected ones have a Lease.
	replicas int
	elected  bool
	// part of the jobs and kills is this one's.
	part int
}

var scenarios = []scenario{
	{"one dispatcher, started again at once", 1, false, 1},
	{"two replicas with a Lease of 15 s, the leader killed", 2, true, 5},
	{"two dispatchers at once without a Lease (split brain), either killed", 2, false, 5},
}

// Run kills and prints a report. An error is also what the oracle finds wrong.
func Run(ctx context.Context, options Options) error {
	which := "the built one"
	if options.Dispatcher != "" {
		which = options.Dispatcher
	}
	fmt.Fprintf(options.Out, `%s, %s
crash --jobs=%d --kills=%d --seed=%d (make crash); dispatcher: %s
The real dispatcher and mutator as processes, the real API server, etcd and scheduler; nodes simulated by KWOK; a stand-in for the agents
acquires and finishes the jobs at the simulator's Agent API. Jobs take up to %s. No limit on GraphQL points.
Half of the kills (SIGKILL) come at a random moment, half as soon as a random number of pods of a batch of jobs has been created.
`, time.Now().UTC().Format("2006-01-02 15:04"), bench.Machine(), options.Jobs, options.Kills, options.Seed, which, jobTime)
	var problems []error
	for i, scenario := range scenarios {
		random := rand.New(rand.NewPCG(options.Seed, uint64(i)))
		if err := run(ctx, options, scenario, random); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", scenario.name, err))
		}
	}
	err := errors.Join(problems...)
	if err != nil {
		fmt.Fprintf(options.Out, "\nFAILED:\n  %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return err
	}
	fmt.Fprintf(options.Out, "\nEvery job was acquired once and finished once, and had one pod.\n")
	return nil
}

func run(ctx context.Context, options Options, scenario scenario, random *rand.Rand) (err error) {
	bed, err := testbed.Up(ctx, testbed.Options{Bin: options.Bin, Manifests: options.Manifests, Nodes: 5, JobTime: jobTime})
	defer func() { err = errors.Join(err, bed.Stop()) }()
	if err != nil {
		return err
	}
	k := &killer{
		bed: bed, scenario: scenario, random: random, executable: options.Dispatcher,
		jobs: max(options.Jobs/scenario.part, 1), kills: max(options.Kills/scenario.part, 1),
	}
	began := time.Now()
	if err := k.work(ctx); err != nil {
		return err
	}
	return k.report(options.Out, time.Since(began))
}
