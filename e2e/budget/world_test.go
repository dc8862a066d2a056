package budget

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/buildkite/agent-stack-k8s/dispatcher/buildkite"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/graphqlapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

const token = "graphql-token"

// latency of a request to Buildkite.
const latency = 150 * time.Millisecond

// world is Buildkite without a network, so that time can be simulated.
type world struct {
	t     *testing.T
	store *state.Store
	api   *graphqlapi.Server
}

func newWorld(t *testing.T, limits graphqlapi.Limits, tokens ...string) *world {
	t.Helper()
	store := state.New(state.Options{PublicURL: "http://simulator.test"})
	if len(tokens) == 0 {
		tokens = []string{token}
	}
	api, err := graphqlapi.New(store, tokens, limits)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, store: store, api: api}
}

func (w *world) RoundTrip(request *http.Request) (*http.Response, error) {
	select {
	case <-time.After(latency):
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	recorder := httptest.NewRecorder()
	w.api.ServeHTTP(recorder, request)
	response := recorder.Result()
	response.Request = request
	return response, nil
}

// schedule makes a build with count jobs in a queue.
func (w *world) schedule(queue string, count int) state.Build {
	w.t.Helper()
	parsed, err := pipeline.Read(fmt.Appendf(nil, `steps: [{command: make, agents: {queue: %s}, parallelism: %d}]`, queue, count), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	build, err := w.store.CreateBuild(state.NewBuild{Pipeline: parsed})
	if err != nil {
		w.t.Fatal(err)
	}
	return build
}

// makeQueues makes queues by running nothing in them.
func (w *world) makeQueues(queues ...string) {
	w.t.Helper()
	for _, queue := range queues {
		if _, err := w.store.CancelBuild(w.schedule(queue, 1).UUID, "test"); err != nil {
			w.t.Fatal(err)
		}
	}
}

// run has an agent acquire and finish a job.
func (w *world) run(uuid, queue string) {
	identity, _ := w.store.Identify("agent-token")
	agent, _, err := w.store.Register(identity, state.NewAgent{Name: "agent", Tags: []string{"queue=" + queue}})
	if err != nil {
		w.t.Error(err)
		return
	}
	w.store.Connect(agent.UUID)
	defer w.store.Disconnect(agent.UUID)
	if _, err := w.store.Acquire(agent.UUID, uuid); err != nil {
		return // cancelled meanwhile
	}
	if err := w.store.Start(uuid); err != nil {
		w.t.Error(err)
	}
	if err := w.store.Finish(uuid, state.Finish{ExitStatus: "0"}); err != nil {
		w.t.Error(err)
	}
}

func (w *world) settings(queues ...string) buildkite.Settings {
	settings := buildkite.Settings{
		Endpoint: "http://simulator.test/graphql", Organization: w.store.Organization().Slug,
		ClusterUUID: w.store.Clusters()[0].UUID,
		Token:       func() (string, error) { return token, nil },
		Transport:   w,
		Log:         slog.New(slog.DiscardHandler),
	}
	for _, queue := range queues {
		settings.Queues = append(settings.Queues, jobpod.Tags{{Key: "queue", Value: queue}})
	}
	return settings
}

// poller polls as the dispatcher does and pretends to make a pod of every job,
// which takes a while to begin it.
type poller struct {
	world  *world
	client *buildkite.Client
	queue  string
	// begins is how long a pod takes to acquire its job, lasts how long it lives
	// on.
	begins, lasts time.Duration
	// capacity is the most pods at a time; 0 is no limit.
	capacity int

	mu sync.Mutex
	// pods are the jobs that have one.
	pods map[string]bool
	// waited is how long jobs waited for their pod, asked when it polled.
	waited []time.Duration
	errs   map[string]int
}

func (w *world) poller(settings buildkite.Settings, queue string) *poller {
	return &poller{
		world: w, client: buildkite.NewClient(settings), queue: queue, begins: 2 * time.Second, lasts: 10 * time.Minute,
		pods: map[string]bool{}, errs: map[string]int{},
	}
}

func (p *poller) known(uuid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pods[uuid]
}

// poll polls once.
func (p *poller) poll() {
	p.mu.Lock()
	room := p.capacity - len(p.pods)
	p.mu.Unlock()
	if p.capacity > 0 && room <= 0 {
		return
	}
	jobs, err := p.client.Scheduled(p.world.t.Context(), p.known)
	if err != nil {
		p.mu.Lock()
		p.errs[err.Error()]++
		p.mu.Unlock()
	}
	for i, job := range jobs {
		if p.capacity > 0 && i >= room {
			break
		}
		p.take(job)
	}
}

func (p *poller) take(job jobpod.Job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pods[job.UUID] {
		return
	}
	p.pods[job.UUID] = true
	p.waited = append(p.waited, time.Since(job.ScheduledAt))
	time.AfterFunc(p.begins, func() {
		p.world.run(job.UUID, p.queue)
		time.AfterFunc(p.lasts, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.pods, job.UUID)
		})
	})
}

// pollFor polls every second for a while.
func (p *poller) pollFor(duration time.Duration) {
	for end := time.Now().Add(duration); time.Now().Before(end); time.Sleep(time.Second) {
		p.poll()
	}
}

func (p *poller) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waited)
}

// quantile of how long jobs waited.
func (p *poller) quantile(q float64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waited) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(p.waited))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Round(10 * time.Millisecond)
}
