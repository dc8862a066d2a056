package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/dispatcher/buildkite"
	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/fault"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/graphqlapi"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

const (
	firstToken   = "the-first-token"
	agentToken   = "agent-token"
	controllerID = "acme"
	queue        = "kubernetes"
)

// world is Buildkite and a cluster, with a dispatcher between them.
type world struct {
	t       *testing.T
	store   *state.Store
	api     *graphqlapi.Server
	script  *fault.Script
	handler http.Handler
	cluster *cluster
	// ahead is how far Buildkite's clock is ahead of the dispatcher's.
	ahead time.Duration

	mu    sync.Mutex
	log   bytes.Buffer
	token string
	// operations counts GraphQL requests by name, statuses their answers' codes.
	operations map[string]int
	statuses   map[int]int
	// failed are the jobs that the dispatcher failed.
	failed map[string]dispatcher.Failure
}

// newWorld makes one. Options are the store's; all but the addresses may be zero.
func newWorld(t *testing.T, options state.Options) *world {
	t.Helper()
	options.PublicURL, options.DefaultQueue = "http://simulator.test", queue
	w := &world{
		t: t, store: state.New(options), script: &fault.Script{}, cluster: newCluster(), token: firstToken,
		operations: map[string]int{}, statuses: map[int]int{}, failed: map[string]dispatcher.Failure{},
	}
	api, err := graphqlapi.New(w.store, []string{firstToken}, graphqlapi.PublishedLimits())
	if err != nil {
		t.Fatal(err)
	}
	w.api = api
	w.handler = w.script.Around(fault.GraphQL, api, w.store.NoteFault)
	return w
}

// Write is the dispatcher's log.
func (w *world) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(line)
}

// said returns how many lines of the log have all of these words.
func (w *world) said(words ...string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	count := 0
lines:
	for line := range strings.Lines(w.log.String()) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		count++
	}
	return count
}

// queries returns how often Buildkite was asked for anything.
func (w *world) queries() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	total := 0
	for _, count := range w.operations {
		total += count
	}
	return total
}

// asked returns how often an operation was asked for.
func (w *world) asked(operation string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.operations[operation]
}

// dates finds times in Buildkite's JSON.
var dates = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"`)

// shift moves the times in a text of JSON.
func shift(text string, by time.Duration) string {
	return dates.ReplaceAllStringFunc(text, func(quoted string) string {
		text := strings.Trim(quoted, `"`)
		date, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			panic(err)
		}
		layout := "2006-01-02T15:04:05Z"
		if _, fraction, has := strings.Cut(text, "."); has {
			layout = "2006-01-02T15:04:05." + strings.Repeat("0", len(fraction)-1) + "Z"
		}
		return strconv.Quote(date.Add(by).Format(layout))
	})
}

// RoundTrip is the way to Buildkite, whose clock may be another.
func (w *world) RoundTrip(request *http.Request) (*http.Response, error) {
	time.Sleep(50 * time.Millisecond)
	if err := request.Context().Err(); err != nil {
		return nil, err
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(request.Body); err != nil {
		return nil, err
	}
	again := httptest.NewRequestWithContext(request.Context(), request.Method, request.URL.String(), strings.NewReader(shift(body.String(), -w.ahead)))
	again.Header = request.Header
	recorder := httptest.NewRecorder()
	var named struct {
		OperationName string `json:"operationName"`
	}
	if err := json.Unmarshal(body.Bytes(), &named); err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.operations[named.OperationName]++
	w.mu.Unlock()
	if err := serve(w.handler, recorder, again); err != nil {
		return nil, err
	}
	text := shift(recorder.Body.String(), w.ahead)
	recorder.Body = bytes.NewBufferString(text)
	response := recorder.Result()
	response.Request, response.ContentLength = request, int64(len(text))
	response.Header.Set("Date", time.Now().Add(w.ahead).UTC().Format(http.TimeFormat))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statuses[response.StatusCode]++
	return response, nil
}

// serve has a handler answer; one that aborts breaks the connection.
func serve(handler http.Handler, recorder *httptest.ResponseRecorder, request *http.Request) (err error) {
	defer func() {
		if aborted := recover(); aborted != nil {
			err = fmt.Errorf("connection reset: %v", aborted)
		}
		if request.Context().Err() != nil {
			err = request.Context().Err()
		}
	}()
	handler.ServeHTTP(recorder, request)
	return nil
}

// Fail fails a job as the agent's library does: whoever acquires it has it.
func (w *world) Fail(_ context.Context, job jobpod.Job, failure dispatcher.Failure) error {
	if err := w.acquire(job.UUID); err != nil {
		return dispatcher.ErrJobTaken
	}
	w.mu.Lock()
	w.failed[job.UUID] = failure
	w.mu.Unlock()
	return w.store.Finish(job.UUID, state.Finish{ExitStatus: strconv.Itoa(failure.ExitStatus), SignalReason: dispatcher.StackErrorReason})
}

// acquire has an agent take a job.
func (w *world) acquire(job string) error {
	identity, isKnown := w.store.Identify(agentToken)
	if !isKnown {
		return errors.New("the agent token is not known")
	}
	agent, _, err := w.store.Register(identity, state.NewAgent{Name: "agent", Tags: []string{"queue=" + queue}, IgnoreInDispatches: true})
	if err != nil {
		return err
	}
	w.store.Connect(agent.UUID)
	if _, err := w.store.Acquire(agent.UUID, job); err != nil {
		return err
	}
	return w.store.Start(job)
}

// runs has a job's pod start and its agent acquire the job.
func (w *world) runs(job string) {
	w.t.Helper()
	w.cluster.starts(job)
	if err := w.acquire(job); err != nil {
		w.t.Fatal(err)
	}
}

// schedule makes jobs and returns their UUIDs.
func (w *world) schedule(count int) []string {
	w.t.Helper()
	return w.scheduleMany(queue, count)
}

// scheduleIn makes a job in another queue.
func (w *world) scheduleIn(queue string) string {
	w.t.Helper()
	return w.scheduleMany(queue, 1)[0]
}

func (w *world) scheduleMany(queue string, count int) []string {
	w.t.Helper()
	parsed, err := pipeline.Read(fmt.Appendf(nil, `steps: [{command: make, agents: {queue: %s}, parallelism: %d, plugins: [{kubernetes: {podSpec: {containers: [{image: a}]}}}]}]`, queue, count), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	build, err := w.store.CreateBuild(state.NewBuild{Pipeline: parsed})
	if err != nil {
		w.t.Fatal(err)
	}
	var jobs []string
	for _, job := range build.Jobs {
		jobs = append(jobs, job.UUID)
	}
	return jobs
}

func (w *world) state(job string) state.State {
	now, _ := w.store.Job(job)
	return now.State
}

// config is a dispatcher's, as cmd/dispatcher makes it.
func (w *world) config(t *testing.T) dispatcher.Config {
	t.Helper()
	client, clock := clientOver(t, w.cluster)
	log := slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelInfo}))
	settings := buildkite.Settings{
		Endpoint: "http://simulator.test/graphql", Organization: w.store.Organization().Slug, Transport: w, Log: log,
		Token: func() (string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.token, nil
		},
		Queues: []jobpod.Tags{{{Key: "queue", Value: queue}}},
	}
	if clusters := w.store.Clusters(); len(clusters) > 0 {
		settings.ClusterUUID = clusters[0].UUID
	}
	jobs := buildkite.NewClient(settings)
	return dispatcher.Config{
		Source: jobs, States: jobs, Annotator: jobs, Cluster: client, Clock: clock, Log: log,
		Queues: []dispatcher.Queue{{
			Pods:   jobpod.PodSettings{Namespace: "jobs", ControllerID: controllerID, Tags: jobpod.Tags{{Key: "queue", Value: queue}}},
			Failer: w,
		}},
		Limits: dispatcher.Limits{Concurrency: 5, PollInterval: time.Second, JobTTL: time.Minute, AnnotateAfter: 30 * time.Second, Patience: dispatcher.DefaultPatience},
	}
}

// simulate runs a test in simulated time, with a world.
func simulate(t *testing.T, options state.Options, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t, options)) })
}

// start runs a dispatcher; what it returns ends it and waits for that.
func (w *world) start(t *testing.T, config dispatcher.Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- dispatcher.Run(ctx, config) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the dispatcher ended: %v", err)
		}
	}
}

// pass lets simulated time go by.
func pass(duration time.Duration) {
	time.Sleep(duration)
	synctest.Wait()
}

// until lets time go by until something is so.
func until(t *testing.T, what string, patience time.Duration, condition func() bool) {
	t.Helper()
	began := time.Now()
	for !condition() {
		if time.Since(began) > patience {
			t.Fatalf("%s: not after %s", what, patience)
		}
		pass(100 * time.Millisecond)
	}
}

// The library's own lines go nowhere.
func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}
