package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

var update = flag.Bool("update", false, "rewrite golden files")

// The only golden file here is the help, so another one is a leftover.
func TestHelpGolden(t *testing.T) {
	const path = "testdata/help.txt"
	if *update {
		if err := os.WriteFile(path, []byte(help()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), help()); diff != "" {
		t.Errorf("go test ./cmd/dispatcher -run TestHelpGolden -update rewrites it (-want +got):\n%s", diff)
	}
	if files, _ := filepath.Glob("testdata/*"); len(files) != 1 {
		t.Errorf("unknown files: %v", files)
	}
}

// environment looks variables up in a map.
func environment(variables map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, isSet := variables[name]
		return value, isSet
	}
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	got, err := load([]string{"--org", "acme", "--buildkite-token=t"}, environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got.maxInFlight != 25 || got.jobTTL != 10*time.Minute || got.namespace != "default" || got.queues[0].tags.Queue() != "kubernetes" || got.controllerID != "acme-kubernetes" {
		t.Errorf("got %+v", got)
	}
	if got.image != "" || got.agentTokenSecret != "" {
		t.Errorf("image %q and secret %q should be the mutator's", got.image, got.agentTokenSecret)
	}
}

func TestPrecedence(t *testing.T) {
	path := configFile(t, "org: file\nnamespace: file\nimage: file\nmax-in-flight: 0\ndebug: true\njob-ttl: 1h\ntags: [linux, xcode=8]\nbuildkite-token-file: /file\n")
	variables := map[string]string{"CONFIG": path, "NAMESPACE": "env", "IMAGE": "env", "BUILDKITE_TOKEN": "env", "MAX_IN_FLIGHT": "", "BUILDKITE_AGENT_TOKEN": "agent"}
	got, err := load([]string{"--image", "flag", "--debug=false"}, environment(variables))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"org": "file", "namespace": "env", "image": "flag", "token": "env", "tokenFile": "", "agentToken": "agent", "queue": "default"}
	have := map[string]string{"org": got.org, "namespace": got.namespace, "image": got.image, "token": got.token, "tokenFile": got.tokenFile, "agentToken": got.agentToken, "queue": got.queues[0].tags.Queue()}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
	if got.maxInFlight != 0 || got.debug || got.jobTTL != time.Hour {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff("linux=true,xcode=8", got.queues[0].tags.String()); diff != "" {
		t.Error(diff)
	}
}

func TestQueue(t *testing.T) {
	cases := map[string]struct {
		arguments string
		tags      string
		problem   string
	}{
		"default":             {"", "queue=kubernetes", ""},
		"queue":               {"--queue linux", "queue=linux", ""},
		"queue beside tags":   {"--queue linux --tags docker", "queue=linux,docker=true", ""},
		"the same twice":      {"--queue linux --tags queue=linux", "queue=linux", ""},
		"disagreement":        {"--queue linux --tags queue=mac", "", "they disagree"},
		"two queues":          {"--tags queue=linux,queue=mac", "", "more than one queue"},
		"tags in two flags":   {"--tags queue=a --tags docker", "queue=a,docker=true", ""},
		"tags without queue":  {"--tags linux,xcode=8", "linux=true,xcode=8", ""},
		"queue with a clause": {"--queue queue=linux", "", "not the name of a queue"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			arguments := append([]string{"--org=a", "--buildkite-token=t"}, strings.Fields(tc.arguments)...)
			got, err := load(arguments, environment(nil))
			if tc.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tc.problem) {
					t.Errorf("got %v, want %q", err, tc.problem)
				}
				return
			}
			if err != nil || len(got.queues) != 1 || got.queues[0].tags.String() != tc.tags {
				t.Errorf("queues %v, error %v; want %s", got.queues, err, tc.tags)
			}
		})
	}
}

// All mistakes are reported at once, each with its place, none with a secret.
func TestProblemsAtOnce(t *testing.T) {
	path := configFile(t, "max-in-flght: 3\norg:\nqueue: {a: b}\njob-ttl: 5\njob-ttl: 6\nagent-endpoint: hunter2\n")
	variables := map[string]string{"POLL_INTERVAL": "1", "BUILDKITE_TOKEN": "hunter2", "BUILDKITE_TOKEN_FILE": "/x"}
	_, err := load([]string{"-f", path, "--namespace=Not_One", "--max-in-flight=-1", "--cluster-uuid=7", "--controller-id", "a b", "--job-creation-concurrency=0"}, environment(variables))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		path + " line 1: max-in-flght: no such option; did you mean max-in-flight?",
		path + " line 3: queue: want a single value",
		path + " line 5: job-ttl: is there twice",
		`job-ttl: "5" is not a duration such as 30s or 10m`,
		`$POLL_INTERVAL: "1" is not a duration`,
		`--max-in-flight: "-1" is not a number of 0 or more`,
		"--org: tell which organization",
		"--buildkite-token and --buildkite-token-file: give one of them",
		`--namespace: "Not_One"`,
		`--cluster-uuid: "7" is not a UUID`,
		"--agent-endpoint: want an address",
		`--controller-id: "a b"`,
		"--job-creation-concurrency: want at least 1",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing from:\n%s", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret is printed:\n%s", err)
	}
}

func TestSingleProblems(t *testing.T) {
	cases := map[string]struct {
		arguments []string
		want      string
	}{
		"unknown flag":      {[]string{"--max-inflight=3"}, "--max-inflight: no such option; did you mean --max-in-flight?"},
		"stray argument":    {[]string{"--org", "a", "hunter2"}, "an argument is no option"},
		"missing file":      {[]string{"-f", "/does/not/exist"}, "read the file of --config"},
		"file is a list":    {[]string{"-f", configFile(t, "- a")}, "want keys such as org"},
		"file is no YAML":   {[]string{"-f", configFile(t, "a: [")}, "not YAML"},
		"file with version": {[]string{"-f", configFile(t, "version: true")}, "no such option"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := load(tc.arguments, environment(nil))
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestDefaultControllerID(t *testing.T) {
	long := strings.Repeat("a", 63)
	linux := []queueOptions{{tags: jobpod.Tags{{Key: "queue", Value: "linux"}}}}
	cases := map[string]options{
		"acme-linux":                  {org: "acme", queues: linux},
		"acme-dc840dd5-linux":         {org: "acme", queues: linux, clusterUUID: "dc840dd5-6a72-545b-917d-ae66e9bb7a50"},
		"dispatcher-8807ea946431ef5a": {org: long, queues: linux},
	}
	for want, o := range cases {
		if got := defaultControllerID(&o); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
