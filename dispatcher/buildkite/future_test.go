package buildkite

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

// Fields that this version does not know, wherever they are, change nothing.
func TestUnknownFields(t *testing.T) {
	more := func(answer reply) reply {
		answer.body = strings.ReplaceAll(answer.body, `{"`, `{"future":{"deep":[1,null,{"x":"y"}]},"`)
		return answer
	}
	_, url := serve(t, more(queues("a", "a")), more(listed(1, "x")), more(reply{body: `{"data":{"job0":{"uuid":"x","state":"SCHEDULED"}}}`}))
	client := clientFor(url, inCluster("a"))
	jobs, err := client.Scheduled(t.Context(), unknown)
	if diff := cmp.Diff([]string{"x"}, uuidsOf(jobs)); diff != "" || err != nil {
		t.Errorf("error %v, %s", err, diff)
	}
	states, err := client.States(t.Context(), []string{"x"})
	if diff := cmp.Diff(map[string]dispatcher.JobState{"x": dispatcher.StateScheduled}, states); diff != "" || err != nil {
		t.Errorf("error %v, %s", err, diff)
	}
}

// States that this version does not know are told of once each, and withdraw no
// job.
func TestUnknownStates(t *testing.T) {
	var log bytes.Buffer
	states := func(first, second string) reply {
		return reply{body: fmt.Sprintf(`{"data":{"job0":{"uuid":"a","state":%q},"job1":{"uuid":"b","state":%q}}}`, first, second)}
	}
	_, url := serve(t, states("PONDERING", "SCHEDULED"), states("PONDERING", "DREAMING"), states("DREAMING", "CANCELED"))
	client := clientFor(url, func(s *Settings) { s.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for i, want := range []bool{false, false, true} {
		got, err := client.States(t.Context(), []string{"a", "b"})
		if err != nil || got["a"].Withdrawn() || got["b"].Withdrawn() != want {
			t.Errorf("answer %d: %v, %v", i, got, err)
		}
	}
	if text := log.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "state=PONDERING") || !strings.Contains(text, "state=DREAMING") {
		t.Errorf("said\n%s", text)
	}
}
