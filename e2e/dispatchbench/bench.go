package dispatchbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/bench"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
	"github.com/buildkite/agent-stack-k8s/e2e/testbed"
)

// Targets of the design.
const (
	targetRatio  = 0.80
	targetMemory = 64 << 20
	targetPoints = 5.0
	// targetPeak is 80 % of the points of a user in five minutes.
	targetPeak = 4000
)

// Options say how much to measure.
type Options struct {
	// Bin is the directory of the built programs, Manifests the directory manifests
	// of a checkout.
	Bin, Manifests string
	// Dispatcher is a dispatcher to measure in place of the built one.
	Dispatcher string
	// Jobs is how many are scheduled at once, Rounds how often.
	Jobs, Rounds int
	// Nodes is how many nodes are simulated.
	Nodes int
	// Live are numbers of live pods to measure the memory at, rising.
	Live []int
	// Steady is how long jobs come at SteadyRate per second, with Buildkite's limits.
	Steady     time.Duration
	SteadyRate float64
	// Settle is how long a dispatcher is left alone before its memory is read or jobs
	// come steadily, and how long their pods stay.
	Settle time.Duration
	// Profiles is a directory for profiles of the dispatcher's memory, or empty.
	Profiles string
	// IgnoreTargets has a target that is missed printed and not returned.
	IgnoreTargets bool
	Out           io.Writer
}

// Run measures all and prints a report. An error is also a target that is missed.
func Run(ctx context.Context, options Options) error {
	fmt.Fprintf(options.Out, `%s, %s
bench-dispatch --jobs=%d --rounds=%d --steady=%s (make bench-dispatch)
The real dispatcher and mutator as processes, the manifests' webhook and policies in force; the real API server, etcd and scheduler; %d nodes simulated
by KWOK; all of it on the same machine. A job's pod has four containers. The simulator stands in for Buildkite, and for the pods' agents, which
KWOK does not run, something in this process that takes the job when KWOK says that the pod's containers have started.
`, time.Now().UTC().Format("2006-01-02 15:04"), bench.Machine(), options.Jobs, options.Rounds, options.Steady, options.Nodes)
	var failed []error
	for _, part := range []func(context.Context, Options) error{rates, memory, steady} {
		if err := part(ctx, options); err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(failed...)
}

// missed is a target that was not reached, as an error.
func (o Options) missed(format string, arguments ...any) error {
	if o.IgnoreTargets {
		return nil
	}
	return fmt.Errorf("missed: "+format, arguments...)
}

func verdict(reached bool) string {
	if reached {
		return "reached"
	}
	return "MISSED"
}

// lift is how much more than Buildkite grants may be used where points are not what
// is measured: more than is needed, and not so much that listing all jobs again
// and again seems free.
const lift = 100

// lifted are limits that never bind, in the place of Buildkite's: the answers tell of
// points as Buildkite's do, so that the dispatcher goes the same ways.
func lifted() simulator.Limits {
	limits := simulator.PublishedLimits()
	limits.User *= lift
	limits.Organization *= lift
	return limits
}

// bedOptions are what the parts' testbeds have in common.
func bedOptions(options Options, limits simulator.Limits) testbed.Options {
	return testbed.Options{
		Bin: options.Bin, Manifests: options.Manifests, Nodes: options.Nodes,
		Brief: true, Audit: true, Limits: limits,
	}
}
