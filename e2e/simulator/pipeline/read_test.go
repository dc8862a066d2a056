package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	five, nine := 5, 9
	command := func(change func(*Step)) Step {
		step := Step{Kind: KindCommand, Command: "make", Env: map[string]string{}}
		if change != nil {
			change(&step)
		}
		return step
	}
	cases := map[string]struct {
		text string
		want []Step
	}{
		"list of steps alone": {`[{command: make}]`, []Step{command(nil)}},
		"JSON":                {`{"steps": [{"command": "make", "priority": 5}]}`, []Step{command(func(s *Step) { s.Priority = &five })}},
		"commands":            {`steps: [{commands: [make, go test]}]`, []Step{command(func(s *Step) { s.Command = "make\ngo test" })}},
		"names":               {`steps: [{name: Build, id: build, command: make}]`, []Step{command(func(s *Step) { s.Label, s.Key = "Build", "build" })}},
		"agents as map, with defaults": {`
agents: {queue: kubernetes, os: linux}
steps: [{command: make}, {command: make, agents: {queue: big, gpu: true}}, {command: make, agents: []}]`,
			[]Step{
				command(func(s *Step) { s.Rules = []string{"queue=kubernetes", "os=linux"} }),
				command(func(s *Step) { s.Rules = []string{"queue=big", "gpu=true"} }),
				command(func(s *Step) { s.Rules = []string{} }),
			}},
		"agents as list": {`steps: [{command: make, agents: ["queue=a", "macos"]}]`, []Step{command(func(s *Step) { s.Rules = []string{"queue=a", "macos=true"} })}},
		"env and image": {`
image: alpine
steps: [{command: make, env: {A: 1, B: "x"}}, {command: make, image: "ruby:3", env: {BUILDKITE_IMAGE: own}}]`,
			[]Step{
				command(func(s *Step) { s.Env = map[string]string{"A": "1", "B": "x", "BUILDKITE_IMAGE": "alpine"} }),
				command(func(s *Step) { s.Env = map[string]string{"BUILDKITE_IMAGE": "own"} }),
			}},
		"plugins as list": {`steps: [{command: make, plugins: [kubernetes: {podSpec: {n: 1}}, "docker#v1", "org/tool#v2", "https://example.com/a.git#main", "file:///tmp/p"]}]`,
			[]Step{command(func(s *Step) {
				s.Plugins = `[{"github.com/buildkite-plugins/kubernetes-buildkite-plugin":{"podSpec":{"n":1}}},` +
					`{"github.com/buildkite-plugins/docker-buildkite-plugin#v1":null},{"github.com/org/tool-buildkite-plugin#v2":null},` +
					`{"https://example.com/a.git#main":null},{"file:///tmp/p":null}]`
			})}},
		"plugins as map": {`steps: [{command: make, plugins: {"kubernetes": {checkout: {skip: true}}}}]`,
			[]Step{command(func(s *Step) {
				s.Plugins = `[{"github.com/buildkite-plugins/kubernetes-buildkite-plugin":{"checkout":{"skip":true}}}]`
			})}},
		"numbers": {`
priority: 9
steps: [{command: make, parallelism: 5, timeout_in_minutes: 3, priority: "5"}, {command: make}]`,
			[]Step{
				command(func(s *Step) { s.Parallelism, s.Timeout, s.Priority = 5, 3*time.Minute, &five }),
				command(func(s *Step) { s.Priority = &nine }),
			}},
		"artifact paths": {`steps: [{command: make, artifact_paths: "a/*"}, {command: make, artifact_paths: [a, b]}]`,
			[]Step{command(func(s *Step) { s.ArtifactPaths = "a/*" }), command(func(s *Step) { s.ArtifactPaths = "a;b" })}},
		"soft fail and skip": {`steps: [{command: make, soft_fail: true}, {command: make, soft_fail: [{exit_status: 5}]}, {command: make, soft_fail: [{exit_status: "*"}]}, {command: make, skip: later}]`,
			[]Step{
				command(func(s *Step) { s.SoftFail.Any = true }),
				command(func(s *Step) { s.SoftFail.Statuses = []int{5} }),
				command(func(s *Step) { s.SoftFail.Any = true }),
				command(func(s *Step) { s.Skip = true }),
			}},
		"waits": {`steps: [{command: make}, wait, {wait: ~}, {wait: null, continue_on_failure: true}]`,
			[]Step{command(nil), {Kind: KindWait}, {Kind: KindWait}, {Kind: KindWait, ContinueOnFailure: true}}},
		"dependencies": {`steps: [{command: make, depends_on: a}, {command: make, depends_on: [b, {step: c, allow_failure: true}]}, {command: make, depends_on: []}]`,
			[]Step{
				command(func(s *Step) { s.DependsOn, s.Explicit = []Dependency{{Step: "a"}}, true }),
				command(func(s *Step) {
					s.DependsOn, s.Explicit = []Dependency{{Step: "b"}, {Step: "c", AllowFailure: true}}, true
				}),
				command(func(s *Step) { s.Explicit = true }),
			}},
		"group": {`steps: [{group: Tests, key: tests, depends_on: z, steps: [{command: make}, wait]}]`,
			[]Step{
				command(func(s *Step) {
					s.Group, s.GroupKey, s.DependsOn, s.Explicit = "Tests", "tests", []Dependency{{Step: "z"}}, true
				}),
				{Kind: KindWait, Group: "Tests", GroupKey: "tests", DependsOn: []Dependency{{Step: "z"}}, Explicit: true},
			}},
		"variables stay": {`steps: [{command: "echo $A $$B"}]`, []Step{command(func(s *Step) { s.Command = "echo $A $$B" })}},
		"alias and merge": {`{steps: [&base {command: make, env: {A: a}}, {<<: *base, label: again}]}`,
			[]Step{
				command(func(s *Step) { s.Env = map[string]string{"A": "a"} }),
				command(func(s *Step) { s.Env, s.Label = map[string]string{"A": "a"}, "again" }),
			}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Read([]byte(tc.text), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.Steps); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

type environment map[string]string

func (e environment) Get(name string) (string, bool) { value, ok := e[name]; return value, ok }
func (e environment) Set(name, value string)         { e[name] = value }

func TestReadReplacesVariables(t *testing.T) {
	got, err := Read([]byte(`{env: {B: "${A}2"}, steps: [{command: "echo $A $B $$C"}]}`), environment{"A": "1"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("echo 1 12 $C", got.Steps[0].Command); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"B": "12"}, got.Env); diff != "" {
		t.Errorf("env (-want +got):\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"broken YAML":            {"steps: [", "read pipeline"},
		"nothing":                {"", "read pipeline"},
		"no steps":               {"steps: []", "there are none"},
		"unknown top-level key":  {"{colour: red, steps: [{command: make}]}", "pipeline: colour: unknown key"},
		"unknown key of step":    {"steps: [{command: make}, {command: make, colour: red}]", "steps[1]: colour: unknown key"},
		"unknown key in a group": {"steps: [{group: g, steps: [{command: make, colour: red}]}]", "steps[0].steps[0]: colour: unknown key"},
		"unknown key of group":   {"steps: [{group: g, colour: red, steps: [{command: make}]}]", "steps[0]: colour: unknown key"},
		"empty group":            {"steps: [{group: g, steps: []}]", "the group has no steps"},
		"unknown kind of step":   {"steps: [{label: x}]", "cannot infer step type"},
		"unknown word":           {"steps: [pause]", "pause"},
		"block":                  {"steps: [block]", "block and input steps are not supported"},
		"trigger":                {"steps: [{trigger: other}]", "trigger steps are not supported"},
		"matrix":                 {"steps: [{command: make, matrix: [a]}]", "steps[0]: matrix: not supported"},
		"priority":               {"steps: [{command: make, priority: high}]", "steps[0]: priority: want a whole number"},
		"parallelism":            {"steps: [{command: make, parallelism: 0}]", "steps[0]: parallelism: must be 1 or more"},
		"agents":                 {"steps: [{command: make, agents: [{a: b}]}]", "steps[0]: agents: want a map or a list"},
		"soft fail":              {"steps: [{command: make, soft_fail: [5]}]", "steps[0]: soft_fail: want"},
		"dependency":             {"steps: [{command: make, depends_on: [{allow_failure: true}]}]", "depends_on: step: is missing"},
		"key used twice":         {"steps: [{command: make, key: a}, {command: make, key: a}]", `key "a" is used by two steps`},
		"plugins":                {"steps: [{command: make, plugins: 5}]", "plugins"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Read([]byte(tc.text), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want %q, have %v", tc.want, err)
			}
		})
	}
}
