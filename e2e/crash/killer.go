package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
	"github.com/buildkite/agent-stack-k8s/e2e/testbed"
)

const (
	// longestWait is the longest time from a dispatcher's start to a batch of jobs, and
	// from there to its end, unless that waits for pods.
	longestWait = 1300 * time.Millisecond
	// batchPatience bounds the wait for the pods of a batch.
	batchPatience = 4 * time.Second
	// leadPatience bounds the wait for a leader: twice a Lease.
	leadPatience = 30 * time.Second
)

// killer kills dispatchers.
type killer struct {
	bed         *testbed.Testbed
	scenario    scenario
	random      *rand.Rand
	executable  string
	jobs, kills int

	dispatchers []*life
	scheduled   []testbed.Job
	deaths      []death
	takeovers   []time.Duration
	logs        []string
}

// life is a dispatcher with its beginning.
type life struct {
	*controlplane.Dispatcher
	began time.Time
}

// death is what a kill has met.
type death struct {
	// age is how long the dispatcher had run.
	age time.Duration
	// podless are jobs that had no pod, waiting those with a pod that had not begun
	// them, running those that an agent had.
	podless, waiting, running int
	// last is the last thing that the dispatcher said.
	last string
}

// work schedules the jobs in batches, one before each kill, and waits for their end.
func (k *killer) work(ctx context.Context) error {
	for i := range k.scenario.replicas {
		if err := k.start(i); err != nil {
			return err
		}
	}
	defer func() {
		for _, dispatcher := range k.dispatchers {
			_ = dispatcher.Stop(30 * time.Second)
		}
	}()
	for kill := range k.kills {
		victim, err := k.victim(ctx)
		if err != nil {
			return err
		}
		pause(ctx, time.Duration(k.random.Int64N(int64(longestWait))))
		before := k.bed.Agents.SeenCount()
		batch := k.jobs*(kill+1)/k.kills - k.jobs*kill/k.kills
		if err := k.schedule(batch); err != nil {
			return err
		}
		if k.random.IntN(2) == 0 {
			pause(ctx, time.Duration(k.random.Int64N(int64(longestWait))))
		} else {
			k.awaitPods(ctx, before+1+k.random.IntN(max(batch, 1)))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !k.dispatchers[victim].Running() {
			return errors.New("a dispatcher ended by itself; the end of its log:\n" + k.dispatchers[victim].Tail(20))
		}
		k.kill(victim)
		if err := k.start(victim); err != nil {
			return err
		}
	}
	draining, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	if err := k.bed.Drain(draining); err != nil {
		return errors.Join(err, errors.New("the end of a dispatcher's log:\n"+k.dispatchers[0].Tail(20)))
	}
	return nil
}

func (k *killer) schedule(count int) error {
	jobs, err := k.bed.Schedule(count)
	k.scheduled = append(k.scheduled, jobs...)
	return err
}

// start starts dispatcher i, for the first time or again.
func (k *killer) start(i int) error {
	arguments := []string{"--max-in-flight=0", "--job-ttl=5s"}
	if k.scenario.elected {
		arguments = append(arguments, "--leader-elect")
	}
	dispatcher, err := k.bed.StartDispatcher(controlplane.DispatcherOptions{
		Name: fmt.Sprintf("dispatcher-%d", i), Executable: k.executable, Arguments: arguments,
	})
	if err != nil {
		return err
	}
	started := &life{Dispatcher: dispatcher, began: time.Now()}
	if i < len(k.dispatchers) {
		k.dispatchers[i] = started
	} else {
		k.dispatchers = append(k.dispatchers, started)
		k.logs = append(k.logs, dispatcher.Log)
	}
	return nil
}

// victim picks who is killed next: the leader, if there is to be one.
func (k *killer) victim(ctx context.Context) (int, error) {
	if !k.scenario.elected {
		return k.random.IntN(len(k.dispatchers)), nil
	}
	began := time.Now()
	for time.Since(began) < leadPatience && ctx.Err() == nil {
		for i, dispatcher := range k.dispatchers {
			metrics, err := controlplane.ReadMetrics(ctx, dispatcher.Metrics())
			if err == nil && metrics.Sum("buildkite_dispatcher_leader") == 1 {
				if len(k.deaths) > 0 {
					k.takeovers = append(k.takeovers, time.Since(began))
				}
				return i, nil
			}
		}
		pause(ctx, 20*time.Millisecond)
	}
	return 0, fmt.Errorf("no dispatcher leads after %s", leadPatience)
}

// awaitPods waits until so many jobs have had a pod.
func (k *killer) awaitPods(ctx context.Context, count int) {
	for end := time.Now().Add(batchPatience); k.bed.Agents.SeenCount() < count && time.Now().Before(end) && ctx.Err() == nil; {
		pause(ctx, time.Millisecond)
	}
}

func (k *killer) kill(victim int) {
	dispatcher := k.dispatchers[victim]
	dispatcher.Kill()
	met := death{age: time.Since(dispatcher.began), last: lastMessage(dispatcher.Log)}
	for _, job := range k.scheduled {
		now, _ := k.bed.Simulator.Store().Job(job.UUID)
		switch {
		case now.Ended():
		case !now.StartedAt.IsZero():
			met.running++
		case k.bed.Agents.PodsOf(job.UUID) > 0:
			met.waiting++
		default:
			met.podless++
		}
	}
	k.deaths = append(k.deaths, met)
}

func pause(ctx context.Context, duration time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}
}
