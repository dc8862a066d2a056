package explain

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/buildkite"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/terminal"
	"github.com/buildkite/agent-stack-k8s/dispatcher/diagnosis"
)

var update = flag.Bool("update", false, "rewrite the golden explanations")

const testUUID = "0190a7f4-5c3e-4d2b-9a6f-1b2c3d4e5f60"

var testNow = time.Date(2026, 1, 1, 0, 5, 0, 0, time.UTC)

// testPod is a job's pod after admission, on a node; cases add a status.
const testPod = `
metadata:
  name: buildkite-` + testUUID + `
  namespace: buildkite-jobs
  uid: 7d6f
  creationTimestamp: "2026-01-01T00:00:00Z"
  labels: {buildkite.com/inject: "true", buildkite.com/job-uuid: ` + testUUID + `, tag.buildkite.com/queue: linux}
  annotations: {buildkite.com/job-url: "https://buildkite.com/o/p/builds/7#` + testUUID + `", buildkite.com/injected: "{}"}
spec:
  nodeName: node-1
  initContainers:
  - {name: install-entrypoint, image: entrypoint:1}
  - {name: database, image: "postgres:18", restartPolicy: Always}
  - {name: prepare, image: "busybox:1"}
  containers:
  - {name: build, image: "registry.test/build:1", command: [/buildkite/bin/entrypoint], resources: {limits: {memory: 512Mi}}}
  - {name: agent, image: "agent:3", command: [/buildkite/bin/entrypoint]}
  - {name: checkout, image: "agent:3", command: [/buildkite/bin/entrypoint]}
`

const (
	onNode     = "phase: Pending\nconditions: [{type: PodScheduled, status: 'True', lastTransitionTime: '2026-01-01T00:00:02Z'}]\n"
	allStarted = `
phase: Running
conditions:
- {type: PodScheduled, status: 'True', lastTransitionTime: '2026-01-01T00:00:02Z'}
- {type: Initialized, status: 'True', lastTransitionTime: '2026-01-01T00:00:04Z'}
containerStatuses:
- {name: build, state: {BUILD}}
- {name: agent, state: {AGENT}}
- {name: checkout, state: {running: {startedAt: '2026-01-01T00:00:06Z'}}}
`
	runs    = `running: {startedAt: '2026-01-01T00:00:06Z'}`
	passed  = `terminated: {exitCode: 0, reason: Completed, startedAt: '2026-01-01T00:00:05Z', finishedAt: '2026-01-01T00:01:00Z', message: '{"version":1,"exitStatus":0,"phases":{"prepared":0.1,"held":1,"acquired":1.5,"finished":55},"containers":[{"name":"checkout","started":2,"ended":10,"status":0},{"name":"build","started":10.1,"ended":54,"status":0}]}'}`
	stopped = `terminated: {exitCode: 1, reason: Error, startedAt: '2026-01-01T00:00:05Z', finishedAt: '2026-01-01T00:01:00Z'}`
)

func started(build, agent string) string {
	return strings.NewReplacer("BUILD", build, "AGENT", agent).Replace(allStarted)
}

func waits(container, reason, message string) string {
	return onNode + fmt.Sprintf("containerStatuses: [{name: %s, state: {waiting: {reason: %s, message: %q}}}]", container, reason, message)
}

func podFailed(reason, message string) string {
	return fmt.Sprintf("phase: Failed\nreason: %s\nmessage: %q", reason, message)
}

func disrupted(reason string) string {
	return "\nconditions: [{type: DisruptionTarget, status: 'True', reason: " + reason + ", message: 'the words of the cluster', lastTransitionTime: '2026-01-01T00:01:00Z'}]"
}

// example is a case. Its name begins with the cause that it must come to, if it
// is one.
type example struct {
	// status is the pod's; "" is no pod.
	status string
	// metadata and spec change the pod.
	metadata, spec string
	events         []corev1.Event
	job            *buildkite.Job
	unknown        bool // Buildkite was asked and knows nothing
	log            []LogLine
	dispatchers    []DispatcherFacts
	state          State
}

func (e example) facts(t *testing.T) Facts {
	t.Helper()
	facts := Facts{UUID: testUUID, Job: e.job, JobKnown: e.job != nil || e.unknown, Events: e.events, Log: e.log, Dispatchers: e.dispatchers, Looked: []string{"everywhere"}, Now: testNow}
	if e.status == "" {
		return facts
	}
	facts.Pod = &corev1.Pod{}
	for _, part := range []struct {
		text string
		into any
	}{{testPod, facts.Pod}, {e.metadata, &facts.Pod.ObjectMeta}, {e.spec, &facts.Pod.Spec}, {e.status, &facts.Pod.Status}} {
		if err := yaml.UnmarshalStrict([]byte(part.text), part.into); part.text != "" && err != nil {
			t.Fatal(err)
		}
	}
	return facts
}

func event(kind, reason, message string) corev1.Event {
	var e corev1.Event
	e.Type, e.Reason, e.Message = kind, reason, message
	e.LastTimestamp.Time = testNow.Add(-time.Minute)
	return e
}

func held(cause, words string) []LogLine {
	return []LogLine{{Message: "held job", Cause: cause, Error: words, At: testNow.Add(-2 * time.Minute)}}
}

func scheduled() *buildkite.Job {
	return &buildkite.Job{UUID: testUUID, State: "SCHEDULED", Rules: []string{"queue=linux"}, RunnableAt: testNow.Add(-3 * time.Minute)}
}

func job(change func(*buildkite.Job)) *buildkite.Job {
	j := scheduled()
	change(j)
	return j
}

var dispatching = []DispatcherFacts{{Name: "buildkite/dispatcher", Leads: true, Serves: true, Queues: []string{"queue=linux"}, InFlight: 3, MaxInFlight: 25}}

// TestExplain explains a job in every phase and for every cause.
func TestExplain(t *testing.T) {
	before := terminal.Now
	terminal.Now = func() time.Time { return testNow }
	t.Cleanup(func() { terminal.Now = before })
	examples := allExamples()
	var golden strings.Builder
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		example := examples[name]
		report := Explain(example.facts(t))
		if report.State != example.state || report.Summary == "" || len(report.Next) == 0 {
			t.Errorf("%s: state %q, want %q; summary %q, next %q", name, report.State, example.state, report.Summary, report.Next)
		}
		if cause, _, _ := strings.Cut(name, ","); causes()[cause] && report.Cause != cause {
			t.Errorf("%s: cause %q", name, report.Cause)
		}
		fmt.Fprintf(&golden, "=== %s\n", name)
		report.print(&golden, false)
		golden.WriteString("\n")
	}
	if strings.Contains(golden.String(), "%!") {
		t.Error("a hole in a sentence")
	}
	for cause := range causes() {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(examples)), func(name string) bool { first, _, _ := strings.Cut(name, ","); return first == cause }) {
			t.Errorf("no example of the cause %s", cause)
		}
	}
	const file = "testdata/explanations.txt"
	if *update {
		if err := os.WriteFile(file, []byte(golden.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), golden.String()); diff != "" {
		t.Errorf("go test ./cmd/agent-stack-k8s/internal/explain -update rewrites %s (-want +got):\n%s", file, diff)
	}
}

// causes are those of docs/failures.md: of jobs that fail before they begin, and
// of jobs that are cut short.
func causes() map[string]bool {
	all := map[string]bool{diagnosis.CauseEndedWithoutARun: true, diagnosis.CauseMutatorMissing: true, diagnosis.CauseQuota: true, diagnosis.CauseCapacity: true}
	for cause := range diagnosis.ExitStatuses {
		// A pod that just waits is in no trouble yet.
		all[cause] = true
	}
	for cause := range diagnosis.LossAdvices {
		all[cause] = true
	}
	for _, kind := range diagnosis.Forbiddens {
		if kind.Verdict.Advice != "" {
			all[kind.Verdict.Cause] = true
		}
	}
	for _, cause := range []string{diagnosis.CauseInvalid, diagnosis.CauseTooLarge, diagnosis.CauseQuotaTooSmall, diagnosis.CausePodTemplate, diagnosis.CausePolicy, diagnosis.CauseForbidden} {
		all[cause] = true
	}
	return all
}

func TestTarget(t *testing.T) {
	for text, want := range map[string]target{
		testUUID:                  {uuid: testUUID},
		strings.ToUpper(testUUID): {uuid: testUUID},
		"https://buildkite.com/o/p/builds/7#" + testUUID:                                       {uuid: testUUID},
		"https://buildkite.com/o/p/builds/7/canvas?jid=" + testUUID + "&sid=x":                 {uuid: testUUID},
		"https://buildkite.com/organizations/o/pipelines/p/builds/7/jobs/" + testUUID + "/log": {uuid: testUUID},
		"runner":                   {pod: "runner"},
		"pod/runner":               {pod: "runner"},
		"ci/runner":                {namespace: "ci", pod: "runner"},
		"buildkite-" + testUUID:    {uuid: testUUID, pod: "buildkite-" + testUUID},
		"ci/buildkite-" + testUUID: {uuid: testUUID, namespace: "ci", pod: "buildkite-" + testUUID},
	} {
		if got, err := parseTarget(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"https://buildkite.com/o/p/builds/7", "a/b/c", "", "pod/"} {
		if got, err := parseTarget(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func TestLogLines(t *testing.T) {
	log := `time=2026-01-01T00:01:00.000Z level=INFO msg="created pod" job=` + testUUID + ` pod=x
time=2026-01-01T00:01:01.000Z level=WARN msg="held job" job=other cause=quota error="about ` + testUUID + `"
time=2026-01-01T00:01:02.000Z level=WARN msg="held job" job=` + testUUID + ` url="" cause=quota held=0s error="pods \"x\" is forbidden: exceeded quota: q"
{"time":"2026-01-01T00:01:03Z","level":"WARN","msg":"failed job","job":"` + testUUID + `","cause":"invalid","exit_status":193}
not a line of ours ` + testUUID + `
`
	lines := logLinesAbout(log, testUUID)
	want := []LogLine{
		{Message: "created pod", At: time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)},
		{Message: "held job", Cause: "quota", Error: `pods "x" is forbidden: exceeded quota: q`, At: time.Date(2026, 1, 1, 0, 1, 2, 0, time.UTC)},
		{Message: "failed job", Cause: "invalid", At: time.Date(2026, 1, 1, 0, 1, 3, 0, time.UTC)},
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}
