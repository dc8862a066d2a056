package dispatcher

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const testController = "acme-kubernetes"

var podResource = schema.GroupResource{Resource: "pods"}

// world is a Buildkite queue and a cluster, small enough to keep in memory. It
// stands at the dispatcher's own seams, so that time can be simulated.
type world struct {
	mu     sync.Mutex
	states map[string]JobState
	jobs   map[string]jobpod.Job
	pods   map[string]*PodRecord
	lost   []*PodRecord
	failed map[string]Failure

	// mutating says what the mutator does: nil takes pods, anything else is the
	// answer to every creation.
	mutating error
	// losesAnswers has pods created whose creator only gets that error.
	losesAnswers bool
	// paused leaves the queue's jobs out of the listing.
	paused bool
	// bypassed lets pods through without the mutator.
	bypassed bool
	// refusals are answers to the creation of single jobs' pods.
	refusals map[string]error
	// registry has the dispatcher's metrics; nil is none.
	registry *prometheus.Registry
	// queues are the dispatcher's; none is the usual one.
	queues []Queue
	// templates are the PodTemplates' pod specs by name.
	templates map[string]json.RawMessage
	// events are the pods' by name.
	events map[string]PodEvents
	// troubles are those of pods to come, by job.
	troubles map[string]*Trouble
	// listing and failing are errors of Buildkite's.
	listing, failing error
	// trying is the answer to trials, annotating that to annotations.
	trying, annotating error
	// asking is the answer to questions about states, beside those states.
	asking error
	// notes are the builds' annotations, noteWrites counts their changes.
	notes      map[string]string
	noteWrites int
	trials     int
	forced     []string
	// window is the most jobs that are listed at once; 0 is all. more is set if the
	// last listing left some out.
	window int
	more   bool
	// log is the end of every container's log.
	log string
	// slow delays each creation.
	slow time.Duration

	polls, creations, most, failCalls int
	// submitted is the pod sent last.
	submitted *unstructured.Unstructured
	uids      int
}

func newWorld() *world {
	return &world{
		states: map[string]JobState{}, jobs: map[string]jobpod.Job{}, pods: map[string]*PodRecord{},
		failed: map[string]Failure{}, refusals: map[string]error{},
		templates: map[string]json.RawMessage{}, events: map[string]PodEvents{}, troubles: map[string]*Trouble{},
		notes: map[string]string{},
	}
}

var (
	_ Source    = (*world)(nil)
	_ Backlog   = (*world)(nil)
	_ JobStates = (*world)(nil)
	_ Failer    = (*world)(nil)
	_ Submitter = (*world)(nil)
	_ PodReader = (*world)(nil)
	_ Pods      = (*world)(nil)

	_ TemplateReader = (*world)(nil)
	_ PodDeleter     = (*world)(nil)
	_ Trial          = (*world)(nil)
	_ Annotator      = (*world)(nil)
	_ PodDetails     = (*world)(nil)
)

// schedule adds a job and returns its UUID.
func (w *world) schedule(number, priority int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	uuid := fmt.Sprintf("01920000-0000-4000-8000-%012d", number)
	w.jobs[uuid] = jobpod.Job{UUID: uuid, Priority: priority, Rules: []string{"queue=kubernetes"}, ScheduledAt: at(number)}
	w.states[uuid] = StateScheduled
	return uuid
}

func (w *world) Scheduled(_ context.Context, known func(string) bool) ([]jobpod.Job, error) {
	w.mu.Lock()
	w.polls++
	var all []jobpod.Job
	for uuid, job := range w.jobs {
		if w.states[uuid] == StateScheduled && !w.paused {
			all = append(all, job)
		}
	}
	err := w.listing
	w.mu.Unlock()
	slices.SortFunc(all, func(a, b jobpod.Job) int { return a.ScheduledAt.Compare(b.ScheduledAt) })
	all = slices.DeleteFunc(all, func(job jobpod.Job) bool { return known(job.UUID) })
	if w.window > 0 {
		w.change(func() { w.more = len(all) > w.window })
		all = all[:min(len(all), w.window)]
	}
	return all, err
}

// HasMore implements Backlog.
func (w *world) HasMore() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.more
}

func (w *world) States(_ context.Context, uuids []string) (map[string]JobState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	states := map[string]JobState{}
	for _, uuid := range uuids {
		if state, known := w.states[uuid]; known {
			states[uuid] = state
		}
	}
	return states, w.asking
}

func (w *world) Fail(_ context.Context, job jobpod.Job, failure Failure) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failCalls++
	if w.failing != nil {
		return w.failing
	}
	if w.states[job.UUID] != StateScheduled {
		return ErrJobTaken
	}
	if _, isTwice := w.failed[job.UUID]; isTwice {
		panic("job failed twice")
	}
	w.states[job.UUID] = "FINISHED"
	w.failed[job.UUID] = failure
	return nil
}

func (w *world) Submit(_ context.Context, pod *unstructured.Unstructured) (*PodRecord, error) {
	time.Sleep(w.slow)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.creations++
	w.submitted = pod
	if w.pods[pod.GetName()] != nil {
		return nil, apierrors.NewAlreadyExists(podResource, pod.GetName())
	}
	if err := w.refusals[pod.GetLabels()[contract.JobUUIDLabel]]; err != nil {
		return nil, err
	}
	if w.mutating != nil && !w.losesAnswers {
		return nil, w.mutating
	}
	w.uids++
	record := &PodRecord{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.GetName(), Namespace: pod.GetNamespace(),
			UID: types.UID(fmt.Sprint(w.uids)), CreationTimestamp: metav1.Now(),
		},
		job: pod.GetLabels()[contract.JobUUIDLabel], controllerID: pod.GetLabels()[contract.ControllerIDLabel],
		Gated: w.bypassed, Injected: !w.bypassed,
		Queue: pod.GetLabels()[contract.TagLabelPrefix+jobpod.QueueKey], Attempt: 1,
		jobURL: pod.GetAnnotations()[contract.JobURLAnnotation],
		Build:  BuildRef{UUID: pod.GetAnnotations()[contract.BuildUUIDAnnotation], URL: pod.GetAnnotations()[contract.BuildURLAnnotation]},
	}
	if attempt, err := strconv.Atoi(pod.GetAnnotations()[contract.AttemptAnnotation]); err == nil {
		record.Attempt = attempt
	}
	if trouble := w.troubles[record.JobUUID()]; trouble != nil {
		copied := *trouble
		copied.Since = time.Now()
		record.Trouble = &copied
	}
	w.pods[record.Name] = record
	w.most = max(w.most, w.inFlight())
	copied := *record
	return &copied, w.mutating
}

func (w *world) Read(_ context.Context, _, name string) (*PodRecord, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pods[name] == nil {
		return nil, apierrors.NewNotFound(podResource, name)
	}
	copied := *w.pods[name]
	return &copied, nil
}

func (w *world) Delete(_ context.Context, pod *PodRecord, _ bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	held := w.pods[pod.Name]
	switch {
	case held == nil:
		return apierrors.NewNotFound(podResource, pod.Name)
	case held.UID != pod.UID:
		return apierrors.NewConflict(podResource, pod.Name, fmt.Errorf("other UID"))
	}
	delete(w.pods, pod.Name)
	return nil
}

// Try answers as Submit would.
func (w *world) Try(_ context.Context, pod *unstructured.Unstructured) (*PodRecord, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trials++
	if w.trying != nil {
		return nil, w.trying
	}
	return &PodRecord{ObjectMeta: metav1.ObjectMeta{Namespace: pod.GetNamespace()}, Gated: w.bypassed, Injected: !w.bypassed}, nil
}

func (w *world) Force(_ context.Context, pod *PodRecord) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forced = append(w.forced, pod.Name)
	delete(w.pods, pod.Name)
	return nil
}

func (w *world) Annotate(_ context.Context, build BuildRef, note Note) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteWrites++
	if w.annotating != nil {
		return w.annotating
	}
	w.notes[build.UUID+" "+note.Context] = note.Body
	return nil
}

func (w *world) Remove(_ context.Context, build BuildRef, noteContext string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteWrites++
	if w.annotating != nil {
		return w.annotating
	}
	delete(w.notes, build.UUID+" "+noteContext)
	return nil
}

// noteOf returns the annotation of a build, of the two kinds.
func (w *world) noteOf(build, kind string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.notes[build+" agent-stack-k8s-"+kind+"-"+testController]
}

func (w *world) ForJob(uuid string) []*PodRecord {
	return slices.DeleteFunc(w.all(), func(pod *PodRecord) bool { return pod.JobUUID() != uuid })
}

func (w *world) Own() []*PodRecord {
	return slices.DeleteFunc(w.all(), func(pod *PodRecord) bool { return !pod.OwnedBy(testController) })
}

func (w *world) Lost() []*PodRecord {
	w.mu.Lock()
	defer w.mu.Unlock()
	lost := w.lost
	w.lost = nil
	return lost
}

func (w *world) all() []*PodRecord {
	w.mu.Lock()
	defer w.mu.Unlock()
	var records []*PodRecord
	for _, name := range slices.Sorted(maps.Keys(w.pods)) {
		copied := *w.pods[name]
		records = append(records, &copied)
	}
	return records
}

func (w *world) inFlight() int {
	count := 0
	for _, pod := range w.pods {
		if pod.OwnedBy(testController) && !pod.Finished {
			count++
		}
	}
	return count
}

// Template returns a template, or that there is none.
func (w *world) Template(_ context.Context, _, name string) (json.RawMessage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if template, exists := w.templates[name]; exists {
		return template, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "podtemplates"}, name)
}

func (w *world) Events(_ context.Context, pod *PodRecord) (PodEvents, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events[pod.Name], nil
}

func (w *world) LogTail(_ context.Context, _ *PodRecord, container string) (string, error) {
	if w.log != "" {
		return w.log, nil
	}
	return "the last line of " + container, nil
}

func (w *world) Created(*PodRecord) {}

// end ends a job's pod with the agent's status, and the job if it ran.
func (w *world) end(uuid string, status int32, ran bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	pod := w.pods[jobpod.PodName(uuid)]
	pod.Finished, pod.AgentExit, pod.FinishedAt, pod.Started = true, status, time.Now(), true
	if ran {
		w.states[uuid] = "FINISHED"
	}
}

// podNames returns the UUIDs of jobs with a pod, in the order of creation.
func (w *world) podUUIDs() []string {
	pods := w.all()
	slices.SortFunc(pods, func(a, b *PodRecord) int { return len(a.UID) - len(b.UID) })
	var uuids []string
	for _, pod := range pods {
		uuids = append(uuids, pod.JobUUID())
	}
	return uuids
}

// change alters the world under its lock.
func (w *world) change(how func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	how()
}

// dispatcherIn makes a dispatcher of this world.
func dispatcherIn(w *world, limits Limits) *Dispatcher {
	limits.Concurrency = max(limits.Concurrency, 4)
	if limits.Patience == (Patience{}) {
		limits.Patience = DefaultPatience
	}
	if limits.PollInterval == 0 {
		limits.PollInterval = time.Second
	}
	log := slog.New(slog.DiscardHandler)
	parts := Parts{
		Source: w, States: w, Submitter: w, Trial: w, Reader: w, Deleter: w, Templates: w, Details: w, Pods: w,
		Annotator: w, Events: record.NewFakeRecorder(10000),
	}
	if w.registry == nil {
		w.registry = prometheus.NewRegistry()
		defer func() { w.registry = nil }()
	}
	if len(w.queues) == 0 {
		w.queues = []Queue{testQueue(w, "kubernetes")}
	}
	return newDispatcher(parts, w.queues, limits, log, newMetrics(w.registry), newProblems(log))
}

// testQueue is a queue of the world's.
func testQueue(w *world, name string) Queue {
	return Queue{
		Pods:   jobpod.PodSettings{Namespace: "jobs", ControllerID: testController, Tags: jobpod.Tags{{Key: jobpod.QueueKey, Value: name}}},
		Failer: w,
	}
}

// simulate runs a dispatcher and its reaper in simulated time while test looks
// on, and stops them.
func simulate(t *testing.T, w *world, limits Limits, test func(t *testing.T, d *Dispatcher)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := dispatcherIn(w, limits)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { d.run(ctx) })
		running.Go(func() { (&reaper{dispatcher: d}).run(ctx) })
		running.Go(func() { (&observer{dispatcher: d}).run(ctx) })
		test(t, d)
		cancel()
		running.Wait()
	})
}

// pass lets simulated time go by.
func pass(duration time.Duration) {
	time.Sleep(duration)
	synctest.Wait()
}

const goldenUUID = "01920000-0000-4000-8000-000000000001"

// withPlugin is a job whose kubernetes plugin has this configuration.
func withPlugin(config string) jobpod.Job {
	return jobpod.Job{UUID: goldenUUID, Env: []string{`BUILDKITE_PLUGINS=[{"kubernetes":` + config + `}]`}}
}
