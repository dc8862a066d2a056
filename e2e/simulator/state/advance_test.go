package state

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/pipeline"
)

func TestAdvance(t *testing.T) {
	cases := map[string]struct {
		text string
		// run is "index:status" of jobs that run, in order.
		run   string
		want  string
		state BuildState
	}{
		"beginning":                {`[{command: a}, wait, {command: b}]`, "", "scheduled|waiting|waiting", BuildScheduled},
		"first passed":             {`[{command: a}, wait, {command: b}]`, "0:0", "finished|finished|scheduled", BuildRunning},
		"all passed":               {`[{command: a}, wait, {command: b}]`, "0:0 2:0", "finished|finished|finished", BuildPassed},
		"first failed":             {`[{command: a}, wait, {command: b}]`, "0:1", "finished|waiting_failed|waiting_failed", BuildFailed},
		"one of two passed":        {`[{command: a}, {command: b}, wait, {command: c}]`, "0:0", "finished|scheduled|waiting|waiting", BuildRunning},
		"one of two failed":        {`[{command: a}, {command: b}, wait, {command: c}]`, "0:1", "finished|scheduled|waiting|waiting", BuildFailing},
		"failed softly":            {`[{command: a, soft_fail: [{exit_status: 4}]}, wait, {command: b}]`, "0:4 2:0", "finished|finished|finished", BuildPassed},
		"failed, but not softly":   {`[{command: a, soft_fail: [{exit_status: 4}]}, wait, {command: b}]`, "0:5", "finished|waiting_failed|waiting_failed", BuildFailed},
		"goes on though it failed": {`[{command: a}, {wait: ~, continue_on_failure: true}, {command: b}, wait, {command: c}]`, "0:1 2:0", "finished|finished|finished|waiting_failed|waiting_failed", BuildFailed},
		"waits in a row":           {`[{command: a}, wait, {wait: ~}, {command: b}]`, "0:0", "finished|finished|finished|scheduled", BuildRunning},
		"wait at the beginning":    {`[wait, {command: a}]`, "", "finished|scheduled", BuildScheduled},
		"skipped":                  {`[{command: a, skip: true}, wait, {command: b}]`, "", "skipped|finished|scheduled", BuildRunning},
		"dependency open":          {`[{command: a, key: a}, {command: b, depends_on: a}]`, "", "scheduled|waiting", BuildScheduled},
		"dependency passed":        {`[{command: a, key: a}, {command: b, depends_on: a}]`, "0:0", "finished|scheduled", BuildRunning},
		"dependency failed":        {`[{command: a, key: a}, {command: b, key: b, depends_on: a}, {command: c, depends_on: b}]`, "0:1", "finished|waiting_failed|waiting_failed", BuildFailed},
		"dependency may fail":      {`[{command: a, key: a}, {command: b, depends_on: [{step: a, allow_failure: true}]}]`, "0:1", "finished|scheduled", BuildFailing},
		"all dependencies may":     {`[{command: a, key: a}, {command: b, depends_on: a, allow_dependency_failure: true}]`, "0:1", "finished|scheduled", BuildFailing},
		"dependency later":         {`[{command: b, depends_on: a}, {command: a, key: a}]`, "1:0", "scheduled|finished", BuildRunning},
		"ignores waits":            {`[{command: a}, wait, {command: b, depends_on: []}]`, "", "scheduled|waiting|scheduled", BuildScheduled},
		"dependency on a group":    {`[{group: g, key: g, steps: [{command: a}, {command: b}]}, {command: c, depends_on: g}]`, "0:0", "finished|scheduled|waiting", BuildRunning},
		"whole group passed":       {`[{group: g, key: g, steps: [{command: a}, {command: b}]}, {command: c, depends_on: g}]`, "0:0 1:0", "finished|finished|scheduled", BuildRunning},
		"all of a parallel step":   {`[{command: a, key: a, parallelism: 2}, {command: b, depends_on: a}]`, "1:0", "scheduled|finished|waiting", BuildRunning},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, Options{})
			build := s.build(tc.text)
			for entry := range strings.FieldsSeq(tc.run) {
				index, status, _ := strings.Cut(entry, ":")
				s.run(build.Jobs[int(index[0]-'0')], status)
			}
			if diff := cmp.Diff(tc.want, s.states(build)); diff != "" {
				t.Errorf("jobs (-want +got):\n%s", diff)
			}
			if now, _ := s.Build(build.UUID); now.State != tc.state {
				t.Errorf("the build is %s, want %s", now.State, tc.state)
			}
		})
	}
}

func TestCreateBuildRefuses(t *testing.T) {
	cases := map[string]struct {
		text    string
		cluster string
		status  int
	}{
		"unknown dependency": {`[{command: a, depends_on: z}]`, "", http.StatusUnprocessableEntity},
		"unknown cluster":    {`[{command: a}]`, "none such", http.StatusNotFound},
		"too many jobs":      {`[{command: a, parallelism: 10001}]`, "", http.StatusUnprocessableEntity},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, Options{})
			parsed, err := pipeline.Read([]byte(tc.text), nil)
			s.must(err)
			_, err = s.CreateBuild(NewBuild{Pipeline: parsed, Cluster: tc.cluster})
			s.refused(err, tc.status)
			if builds := s.Builds(10); len(builds) > 0 {
				t.Errorf("a build was made all the same: %+v", builds)
			}
		})
	}
}

func TestUploadPipeline(t *testing.T) {
	s := newStore(t, Options{})
	build := s.build(`[{command: a, key: a}, wait, {command: z}]`)
	job := build.Jobs[0]
	s.refused(s.UploadPipeline(job.UUID, "u1", []byte(`[{command: b}]`), false), http.StatusUnprocessableEntity)
	s.begin(s.agent(), job)

	outcome := func(id string) string {
		t.Helper()
		state, message, err := s.PipelineUpload(job.UUID, id)
		s.must(err)
		return strings.TrimSpace(state + " " + message)
	}
	s.must(s.UploadPipeline(job.UUID, "u1", []byte(`{"env": {"UP": "1"}, "steps": [{"command": "b"}, "wait", {"command": "c"}]}`), false))
	s.must(s.UploadPipeline(job.UUID, "u1", []byte(`[{command: never}]`), false))
	if diff := cmp.Diff("applied", outcome("u1")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.must(s.UploadPipeline(job.UUID, "u2", []byte(`[{command: b, key: a}]`), false))
	if got := outcome("u2"); !strings.HasPrefix(got, `rejected the key "a" is used already`) {
		t.Errorf("outcome %q", got)
	}
	s.must(s.UploadPipeline(job.UUID, "u3", []byte(`[{colour: red}]`), false))
	if got := outcome("u3"); !strings.HasPrefix(got, "rejected read pipeline") {
		t.Errorf("outcome %q", got)
	}
	_, _, err := s.PipelineUpload(job.UUID, "none")
	s.refused(err, http.StatusNotFound)

	now, _ := s.Build(build.UUID)
	var commands []string
	for _, job := range now.Jobs {
		commands = append(commands, job.Command)
	}
	if diff := cmp.Diff([]string{"a", "b", "", "c", "", "z"}, commands); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("running|scheduled|waiting|waiting|waiting|waiting", s.states(build)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if got := now.Jobs[1].Env["UP"]; got != "1" {
		t.Errorf("the uploaded environment is missing: %q", got)
	}
	s.must(s.UploadPipeline(job.UUID, "u4", []byte(`[{command: only}]`), true))
	if diff := cmp.Diff("running|scheduled|skipped|skipped|skipped|skipped|skipped", s.states(build)); diff != "" {
		t.Errorf("states after replacing (-want +got):\n%s", diff)
	}
}

func TestAgentQueryRules(t *testing.T) {
	cases := map[string]struct {
		text, queue string
		rules       []string
	}{
		"default queue":     {`[{command: a}]`, "default", []string{"queue=default"}},
		"tags without one":  {`[{command: a, agents: {os: linux}}]`, "default", []string{"queue=default", "os=linux"}},
		"queue of the step": {`[{command: a, agents: {os: linux, queue: big}}]`, "big", []string{"os=linux", "queue=big"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			job := newStore(t, Options{}).build(tc.text).Jobs[0]
			if job.QueueKey != tc.queue {
				t.Errorf("queue %q, want %q", job.QueueKey, tc.queue)
			}
			if diff := cmp.Diff(tc.rules, job.Rules); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnvironmentPrecedence(t *testing.T) {
	s := newStore(t, Options{})
	build := s.buildOf(NewBuild{Env: map[string]string{"A": "build", "B": "build", "BUILDKITE_JOB_ID": "forged"}},
		`{env: {A: pipeline, C: pipeline}, steps: [{command: make, key: k, label: l, env: {B: step}, timeout_in_minutes: 7}]}`)
	job := build.Jobs[0]
	want := map[string]string{
		"A": "build", "B": "step", "C": "pipeline", "CI": "true", "BUILDKITE": "true", "BUILDKITE_JOB_ID": job.UUID,
		"BUILDKITE_COMMAND": "make", "BUILDKITE_STEP_KEY": "k", "BUILDKITE_LABEL": "l", "BUILDKITE_TIMEOUT": "7",
		"BUILDKITE_BRANCH": "main", "BUILDKITE_COMMIT": "HEAD", "BUILDKITE_BUILD_URL": "http://simulator.test/example/pipeline/builds/1",
	}
	for key, value := range want {
		if diff := cmp.Diff(value, job.Env[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
}
