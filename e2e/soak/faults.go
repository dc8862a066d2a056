package soak

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/fault"
)

// faults counts what was done, beside the script's own counts.
type faults struct {
	mu     sync.Mutex
	counts map[string]int
}

func (f *faults) note(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[what]++
}

// misfortune is something to go wrong, and how often beside the others.
type misfortune struct {
	name   string
	weight int
	happen func(ctx context.Context, s *soak) error
}

// acquire is the request that agents ask again after an error.
const (
	registerRequest = "POST /v3/register"
	acquireRequest  = "PUT /v3/jobs/*/acquire"
	finishRequest   = "PUT /v3/jobs/*/finish"
)

func misfortunes() []misfortune {
	all := []misfortune{
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Status, Status: 500}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Status, Status: 503}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Status, Status: 429, Headers: map[string]string{"Retry-After": "3"}}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Delay, DelayMilliseconds: 4000}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Slow, DelayMilliseconds: 4000}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Garbage}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Truncate}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Cut}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Reset}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Hang}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.DuplicateEdges}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Vanish}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Partial}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.Errors}),
		scripted(simulator.Fault{API: fault.GraphQL, Kind: fault.UnknownEnum}),
		scripted(simulator.Fault{API: fault.Agent, Operation: registerRequest, Kind: fault.Status, Status: 503}),
		scripted(simulator.Fault{API: fault.Agent, Operation: acquireRequest, Kind: fault.Status, Status: 503}),
		scripted(simulator.Fault{API: fault.Agent, Operation: finishRequest, Kind: fault.Status, Status: 500}),
		scripted(simulator.Fault{API: fault.Agent, Kind: fault.Delay, DelayMilliseconds: 3000}),
	}
	return append(all,
		misfortune{"queue paused", 2, pauseQueue},
		misfortune{"API server restarted", 2, restartAPIServer},
		misfortune{"mutator restarted", 2, restartMutator},
	)
}

// scripted has the simulator spoil a few requests.
func scripted(one simulator.Fault) misfortune {
	name := one.API + " " + string(one.Kind)
	if one.Status != 0 {
		name += fmt.Sprintf(" %d", one.Status)
	}
	return misfortune{name, 1, func(_ context.Context, s *soak) error {
		again := one
		again.Count = 1 + s.random.IntN(4)
		added, err := s.bed.Simulator.AddFaults(again)
		if err != nil {
			return err
		}
		// Or faults would queue up before a program that asks less and less often.
		time.AfterFunc(faultLife, func() { s.bed.Simulator.RemoveFault(added[0].ID) })
		return nil
	}}
}

// faultLife is how long a fault waits for requests to spoil.
const faultLife = 15 * time.Second

func pauseQueue(ctx context.Context, s *soak) error {
	store := s.bed.Simulator.Store()
	if _, err := store.PauseQueue("", "kubernetes", true, "soak"); err != nil {
		return fmt.Errorf("pause the queue: %w", err)
	}
	pause(ctx, time.Duration(5+s.random.IntN(15))*time.Second)
	if _, err := store.PauseQueue("", "kubernetes", false, ""); err != nil {
		return fmt.Errorf("resume the queue: %w", err)
	}
	return nil
}

// restartAPIServer leaves the cluster without one for a while.
func restartAPIServer(ctx context.Context, s *soak) error {
	s.bed.Plane.StopAPIServer()
	pause(ctx, time.Duration(s.random.IntN(5))*time.Second)
	return s.bed.Plane.StartAPIServer(context.WithoutCancel(ctx))
}

// restartMutator leaves the cluster without one for a while: no pod is created.
func restartMutator(ctx context.Context, s *soak) error {
	if err := s.bed.Plane.StopMutator(); err != nil {
		return err
	}
	pause(ctx, time.Duration(s.random.IntN(8))*time.Second)
	return s.bed.Plane.StartMutator(context.WithoutCancel(ctx))
}

// spoil has one thing after the other go wrong until the context ends.
func (s *soak) spoil(ctx context.Context) error {
	all := misfortunes()
	var urn []misfortune
	for _, one := range all {
		for range one.weight {
			urn = append(urn, one)
		}
	}
	for s.rest(ctx); ctx.Err() == nil; s.rest(ctx) {
		one := urn[s.random.IntN(len(urn))]
		s.faults.note(one.name)
		if err := one.happen(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
	}
	return nil
}

// rest waits until it is time for the next misfortune.
func (s *soak) rest(ctx context.Context) {
	pause(ctx, s.Pause/4+time.Duration(s.random.Int64N(int64(s.Pause*3/4))))
}

// happened says what was done and how many requests the script has spoilt.
func (s *soak) happened() (text string, requests int) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(s.faults.counts)) {
		parts = append(parts, fmt.Sprintf("%s %d×", name, s.faults.counts[name]))
	}
	for _, one := range s.bed.Simulator.Faults() {
		requests += one.Hits
	}
	return strings.Join(parts, ", "), requests
}

func pause(ctx context.Context, duration time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}
}
