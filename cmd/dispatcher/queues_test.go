package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What an entry leaves out is as the options say for all.
func TestQueues(t *testing.T) {
	path := configFile(t, `
org: acme
buildkite-token: t
controller-id: acme
namespace: jobs
max-in-flight: 50
image: agents.test/agent:4
tags: [queue=kubernetes, docker]
queues:
- queue: linux
- queue: large
  namespace: large-jobs
  max-in-flight: 3
  image: agents.test/agent:5
  agent-token-secret: other-token
  prohibit-kubernetes-plugin: true
- tags: queue=mac,xcode=8
- tags: [os=linux]
`)
	got, err := load([]string{"--config", path}, environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, queue := range got.queues {
		have = append(have, strings.Join([]string{queue.tags.String(), queue.namespace, queue.image, queue.agentTokenSecret}, " "))
	}
	want := []string{
		"queue=linux,docker=true jobs agents.test/agent:4 ",
		"queue=large,docker=true large-jobs agents.test/agent:5 other-token",
		"queue=mac,xcode=8 jobs agents.test/agent:4 ",
		"os=linux jobs agents.test/agent:4 ",
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
	if got.queues[0].maxInFlight != 50 || got.queues[1].maxInFlight != 3 || got.queues[0].prohibitPlugin || !got.queues[1].prohibitPlugin {
		t.Errorf("got %+v", got.queues)
	}
}

func TestQueueProblems(t *testing.T) {
	cases := map[string]struct{ queues, want string }{
		"no list":             {"queues: linux", "line 3: queues: want a list of queues"},
		"empty list":          {"queues: []", "the list is empty"},
		"unknown key":         {"queues: [{queue: a, namespase: b}]", "field namespase not found"},
		"wrong type":          {"queues: [{queue: a, max-in-flight: many}]", "cannot unmarshal"},
		"no name":             {"queues: [{namespace: a}]", "queues[0].queue: name the queue, or give its tags"},
		"disagreement":        {"queues: [{queue: a, tags: queue=b}]", "queues[0].queue a and queues[0].tags queue=b: they disagree"},
		"two in one":          {"queues: [{tags: 'queue=a,queue=b'}]", "queues[0].tags: more than one queue"},
		"bad namespace":       {"queues: [{queue: a, namespace: A_B}]", `queues[0].namespace: "A_B"`},
		"bad count":           {"queues: [{queue: a, max-in-flight: -1}]", "queues[0].max-in-flight: -1"},
		"bad image":           {"queues: [{queue: a, image: 'a b'}]", `queues[0].image: "a b" has a space`},
		"twice":               {"queues: [{queue: a}, {queue: a}]", "queues[1]: queue a is there twice"},
		"beside --queue":      {"queue: a\nqueues: [{queue: b}]", "--queue and the file's queues"},
		"several without id":  {"queues: [{queue: a}, {queue: b}]", "--controller-id: needed with several queues"},
		"budget share":        {"graphql-budget-share: 1", "--graphql-budget-share: want more than 0 and at most 0.78"},
		"budget share, words": {"graphql-budget-share: half", `"half" is not a number`},
		"choice":              {"failure-exit-status: both", `--failure-exit-status: "both" is neither distinct nor compatible`},
		"log format":          {"log-format: xml", `--log-format: "xml" is neither text nor json`},
		"short lease":         {"lease-duration: 1s", "--lease-duration: 1s is shorter than 3s"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			path := configFile(t, "org: acme\nbuildkite-token: t\n"+tc.queues+"\n")
			_, err := load([]string{"--config", path}, environment(nil))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestQueuesAreNoFlag(t *testing.T) {
	if _, err := load([]string{"--queues=a"}, environment(map[string]string{"QUEUES": "a"})); err == nil || !strings.Contains(err.Error(), "--queues: no such option") {
		t.Errorf("got %v", err)
	}
}
