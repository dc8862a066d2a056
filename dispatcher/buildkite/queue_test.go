package buildkite

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/dispatcher/jobpod"
)

const (
	clusterUUID = "dc840dd5-6a72-545b-917d-ae66e9bb7a50"
	clusterID   = "Q2x1c3Rlci0tLWRjODQwZGQ1LTZhNzItNTQ1Yi05MTdkLWFlNjZlOWJiN2E1MA=="
)

// queues is the cluster's listing: a key with a "!" is that of a paused queue.
func queues(defaultKey string, keys ...string) reply {
	edges := make([]string, len(keys))
	for i, text := range keys {
		key := strings.TrimPrefix(text, "!")
		edges[i] = fmt.Sprintf(`{"node":{"id":"id-%s","key":%[1]q,"dispatchPaused":%v}}`, key, key != text)
	}
	return reply{body: fmt.Sprintf(`{"data":{"organization":{"cluster":{"defaultQueue":{"key":%q},"queues":{"edges":[%s],"pageInfo":{"hasNextPage":false}}}}}}`,
		defaultKey, strings.Join(edges, ","))}
}

// asked is the answer to a question about single queues; "" is one that is gone.
func asked(keys ...string) reply {
	fields := make([]string, len(keys))
	for i, text := range keys {
		key := strings.TrimPrefix(text, "!")
		fields[i] = fmt.Sprintf(`"queue%d":{"key":%q,"dispatchPaused":%v}`, i, key, key != text)
		if text == "" {
			fields[i] = fmt.Sprintf(`"queue%d":null`, i)
		}
	}
	return reply{body: `{"data":{` + strings.Join(fields, ",") + `}}`}
}

func inCluster(keys ...string) func(*Settings) {
	return func(s *Settings) {
		s.ClusterUUID = clusterUUID
		s.Queues = nil
		for _, key := range keys {
			s.Queues = append(s.Queues, jobpod.Tags{{Key: "queue", Value: key}})
		}
	}
}

// age makes what is known of the queues too old.
func age(client *Client) {
	client.queues.checked = client.queues.checked.Add(-pauseInterval)
}

func TestClusterQueues(t *testing.T) {
	t.Run("several in one listing", func(t *testing.T) {
		server, url := serve(t, queues("other", "other", "a", "b", "!c"), listed(1, "x"))
		jobs, err := clientFor(url, inCluster("a", "b", "c")).Scheduled(t.Context(), unknown)
		if err != nil || len(jobs) != 1 {
			t.Fatalf("jobs %v, error %v", jobs, err)
		}
		want := map[string]any{"organization": "acme", "cluster": clusterID, "queues": []any{"id-a", "id-b"}, "last": float64(mostPerPage)}
		if diff := cmp.Diff(want, server.requests[1].Variables); diff != "" {
			t.Errorf("queue c is paused: %s", diff)
		}
	})
	t.Run("paused and resumed", func(t *testing.T) {
		server, url := serve(t, queues("a", "a"), listed(1, "x"), asked("!a"), asked("a"), listed(1, "x"))
		client := clientFor(url, inCluster("a"))
		for i, want := range []int{1, 0, 1} {
			jobs, err := client.Scheduled(t.Context(), unknown)
			if err != nil || len(jobs) != want {
				t.Errorf("poll %d: jobs %v, error %v, want %d", i, jobs, err, want)
			}
			age(client)
		}
		want := []string{"clusterQueues", "scheduledJobs", "queueStates", "queueStates", "scheduledJobs"}
		if diff := cmp.Diff(want, server.operations()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("remembered between checks", func(t *testing.T) {
		server, url := serve(t, queues("a", "a"), listed(0))
		client := clientFor(url, inCluster("a"))
		for range 2 {
			if jobs, err := client.Scheduled(t.Context(), unknown); err != nil || len(jobs) != 0 {
				t.Fatalf("jobs %v, error %v", jobs, err)
			}
		}
		if names := server.operations(); slices.Contains(names[1:], "clusterQueues") || slices.Contains(names, "queueStates") {
			t.Errorf("asked %v", names)
		}
	})
	t.Run("paused since the last check", func(t *testing.T) {
		server, url := serve(t, queues("a", "a"), listed(0), counted(1), listed(1, "x"), asked("!a"))
		client := clientFor(url, inCluster("a"))
		for range 2 {
			if jobs, err := client.Scheduled(t.Context(), unknown); err != nil || len(jobs) != 0 {
				t.Errorf("jobs %v, error %v", jobs, err)
			}
		}
		if diff := cmp.Diff([]string{"clusterQueues", "scheduledJobs", "countJobs", "scheduledJobs", "queueStates"}, server.operations()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("not known whether paused since the last check", func(t *testing.T) {
		_, url := serve(t, queues("a", "a"), listed(0), counted(1), listed(1, "x"), reply{status: 503}, asked("a"))
		client := clientFor(url, inCluster("a"))
		if _, err := client.Scheduled(t.Context(), unknown); err != nil {
			t.Error(err)
		}
		if jobs, err := client.Scheduled(t.Context(), unknown); kindOf(err) != "server" || len(jobs) != 0 {
			t.Errorf("jobs %v, error %v", jobs, err)
		}
	})
	t.Run("one of two does not exist", func(t *testing.T) {
		server, url := serve(t, queues("a", "a"), listed(1, "x"))
		client := clientFor(url, inCluster("a", "typo"))
		jobs, err := client.Scheduled(t.Context(), unknown)
		if len(jobs) != 1 || kindOf(err) != "unknown-queue" || !strings.Contains(err.Error(), "typo") {
			t.Errorf("jobs %v, error %v", jobs, err)
		}
		if len(server.requests) != 2 {
			t.Errorf("%d requests", len(server.requests))
		}
	})
	t.Run("deleted and made again", func(t *testing.T) {
		server, url := serve(t, queues("a", "a"), listed(0), asked(""), queues("b", "b"), queues("a", "a"), listed(1, "x"))
		client := clientFor(url, inCluster("a"))
		if _, err := client.Scheduled(t.Context(), unknown); err != nil {
			t.Error(err)
		}
		age(client)
		if jobs, err := client.Scheduled(t.Context(), unknown); kindOf(err) != "unknown-queue" || len(jobs) != 0 {
			t.Errorf("deleted: jobs %v, error %v", jobs, err)
		}
		age(client)
		if _, err := client.Scheduled(t.Context(), unknown); kindOf(err) != "unknown-queue" {
			t.Errorf("still deleted: error %v", err)
		}
		if len(server.requests) != 4 {
			t.Errorf("searched again at once: %v", server.operations())
		}
		client.queues.searched = time.Now().Add(-searchInterval)
		age(client)
		if jobs, err := client.Scheduled(t.Context(), unknown); err != nil || len(jobs) != 1 {
			t.Errorf("made again: jobs %v, error %v", jobs, err)
		}
	})
	t.Run("queues that cannot be asked for", func(t *testing.T) {
		server, url := serve(t, queues("a", "a"), listed(0), asked(""), queues("a", "!a"), queues("a", "a"), listed(1, "x"))
		client := clientFor(url, inCluster("a"))
		for i, want := range []int{0, 0, 1} {
			if jobs, err := client.Scheduled(t.Context(), unknown); err != nil || len(jobs) != want {
				t.Errorf("poll %d: jobs %v, error %v", i, jobs, err)
			}
			age(client)
		}
		if diff := cmp.Diff([]string{"clusterQueues", "scheduledJobs", "queueStates", "clusterQueues", "clusterQueues", "scheduledJobs"}, server.operations()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("half an answer is no deletion", func(t *testing.T) {
		_, url := serve(t, queues("a", "a"), listed(1, "x"), reply{body: `{"errors":[{"message":"timed out"}],"data":{"queue0":null}}`}, asked("a"), listed(1, "x"))
		client := clientFor(url, inCluster("a"))
		_, _ = client.Scheduled(t.Context(), unknown)
		age(client)
		if jobs, err := client.Scheduled(t.Context(), unknown); kindOf(err) != kindIncomplete || len(jobs) != 0 {
			t.Errorf("it is not known whether the queue is paused: jobs %v, error %v", jobs, err)
		}
		if jobs, err := client.Scheduled(t.Context(), unknown); err != nil || len(jobs) != 1 {
			t.Errorf("jobs %v, error %v", jobs, err)
		}
	})
	t.Run("no such cluster", func(t *testing.T) {
		_, url := serve(t, reply{body: `{"data":{"organization":{"cluster":null}}}`})
		if _, err := clientFor(url, inCluster("a")).Scheduled(t.Context(), unknown); kindOf(err) != "unknown-cluster" {
			t.Errorf("got %v", err)
		}
	})
}

func TestQueueNotSet(t *testing.T) {
	cases := map[string]struct {
		answers []reply
		queue   string
		polled  string
	}{
		"the cluster has a queue default": {[]reply{queues("linux", "linux", "default"), listed(0)}, "id-default", "polled=default cluster_default=linux"},
		"the default has another name":    {[]reply{queues("linux", "linux"), listed(0)}, "id-linux", "polled=linux cluster_default=linux"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			server, url := serve(t, tc.answers...)
			client := clientFor(url, func(s *Settings) {
				inCluster()(s)
				s.Queues = []jobpod.Tags{{{Key: "docker", Value: "true"}}}
				s.Log = slog.New(slog.NewTextHandler(&log, nil))
			})
			for range 2 {
				if _, err := client.Scheduled(t.Context(), unknown); err != nil {
					t.Fatal(err)
				}
			}
			if got := server.requests[1].Variables["queues"]; !cmp.Equal(got, []any{tc.queue}) {
				t.Errorf("polled %v", got)
			}
			if strings.Count(log.String(), tc.polled) != 1 || !strings.Contains(log.String(), "no queue is set") {
				t.Errorf("said\n%s", &log)
			}
		})
	}
}

// A job that names no queue is in the cluster's default queue.
func TestJobWithoutQueue(t *testing.T) {
	bare := strings.ReplaceAll(listed(1, "x").body, `"agentQueryRules":["queue=kubernetes"]`, `"agentQueryRules":["docker=true"]`)
	_, url := serve(t, queues("linux", "linux"), reply{body: bare})
	jobs, err := clientFor(url, inCluster("linux")).Scheduled(t.Context(), unknown)
	if err != nil || len(jobs) != 1 || !cmp.Equal(jobs[0].Rules, []string{"docker=true", "queue=linux"}) {
		t.Errorf("jobs %v, error %v", jobs, err)
	}
}
