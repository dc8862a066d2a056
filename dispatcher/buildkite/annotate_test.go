package buildkite

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

var someBuild = dispatcher.BuildRef{UUID: "b1", URL: "https://buildkite.com/acme/web/builds/7#job"}

func annotated(uuid string) reply {
	return reply{body: `{"data":{"buildAnnotate":{"annotation":{"uuid":"` + uuid + `"}}}}`}
}

// restServer answers REST with a status and notes what it was asked.
func restServer(t *testing.T, status int) (*[]string, func(*Settings)) {
	t.Helper()
	var requests []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return &requests, func(s *Settings) { s.RESTEndpoint = server.URL + "/v2" }
}

func TestAnnotate(t *testing.T) {
	server, url := serve(t, annotated("n1"))
	client := clientFor(url, nil)
	note := dispatcher.Note{Context: "waits", Style: dispatcher.NoteWarning, Body: strings.Repeat("x", maxNoteBytes+1)}
	for range 3 {
		if err := client.Annotate(t.Context(), someBuild, note); err != nil {
			t.Fatal(err)
		}
	}
	if len(server.requests) != 1 {
		t.Errorf("%d requests for the same note", len(server.requests))
	}
	variables := server.requests[0].Variables
	if variables["build"] != globalID("Build", "b1") || variables["context"] != "waits" || variables["style"] != "WARNING" || len(variables["body"].(string)) > maxNoteBytes+3 {
		t.Errorf("sent %.200v", variables)
	}
	other := dispatcher.Note{Context: "waits", Style: dispatcher.NoteInfo, Body: "other"}
	if problem := problemOf(client.Annotate(t.Context(), someBuild, other)); problem == nil || problem.RetryAfter < 50*time.Second {
		t.Errorf("a second note within a minute: %+v", problem)
	}
	if err := client.Annotate(t.Context(), dispatcher.BuildRef{UUID: "b2"}, other); err != nil {
		t.Errorf("another build: %v", err)
	}
	client.notes.made["b1"].last = time.Now().Add(-noteInterval)
	if err := client.Annotate(t.Context(), someBuild, other); err != nil || len(server.requests) != 3 {
		t.Errorf("after a minute: %v, %d requests", err, len(server.requests))
	}
}

func TestAnnotateFails(t *testing.T) {
	_, url := serve(t, reply{body: `{"data":{"buildAnnotate":null},"errors":[{"message":"No build found"}]}`}, annotated("n1"))
	client := clientFor(url, nil)
	note := dispatcher.Note{Context: "waits", Body: "x"}
	if err := client.Annotate(t.Context(), someBuild, note); kindOf(err) != kindIncomplete {
		t.Errorf("got %v", err)
	}
	client.notes.made["b1"].last = time.Now().Add(-noteInterval)
	if err := client.Annotate(t.Context(), someBuild, note); err != nil || client.notes.made["b1"].notes["waits"].uuid != "n1" {
		t.Errorf("a note that failed must be sent again: %v", err)
	}
}

func TestRemoveAnnotation(t *testing.T) {
	note := dispatcher.Note{Context: "waits", Style: dispatcher.NoteWarning, Body: "x"}
	t.Run("by REST", func(t *testing.T) {
		requests, rest := restServer(t, http.StatusNoContent)
		server, url := serve(t, annotated("n1"))
		client := clientFor(url, rest)
		if err := client.Annotate(t.Context(), someBuild, note); err != nil {
			t.Fatal(err)
		}
		if err := client.Remove(t.Context(), someBuild, "waits"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"DELETE /v2/organizations/acme/pipelines/web/builds/7/annotations/n1 Bearer secret"}, *requests); diff != "" {
			t.Error(diff)
		}
		if len(server.requests) != 1 {
			t.Errorf("%d GraphQL requests", len(server.requests))
		}
	})
	t.Run("the token may not", func(t *testing.T) {
		requests, rest := restServer(t, http.StatusForbidden)
		server, url := serve(t, annotated("n1"))
		client := clientFor(url, rest)
		if err := client.Annotate(t.Context(), someBuild, note); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := client.Remove(t.Context(), someBuild, "waits"); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.Remove(t.Context(), dispatcher.BuildRef{UUID: "b2", URL: "https://buildkite.com/acme/web/builds/8"}, "waits"); err != nil {
			t.Fatal(err)
		}
		if len(*requests) != 1 || len(server.requests) != 3 || server.requests[1].Variables["body"] != overBody {
			t.Errorf("%v, then %d requests, the last with %v", *requests, len(server.requests), server.requests[1].Variables)
		}
	})
	t.Run("made by another leader", func(t *testing.T) {
		requests, rest := restServer(t, http.StatusNoContent)
		server, url := serve(t, annotated("n9"))
		if err := clientFor(url, rest).Remove(t.Context(), someBuild, "waits"); err != nil {
			t.Fatal(err)
		}
		if len(*requests) != 1 || !strings.Contains((*requests)[0], "/annotations/n9 ") || len(server.requests) != 1 {
			t.Errorf("%v after %d requests", *requests, len(server.requests))
		}
	})
}

func TestBuildPath(t *testing.T) {
	for address, want := range map[string]string{
		"https://buildkite.com/acme/web/builds/7":     "/organizations/acme/pipelines/web/builds/7",
		"https://buildkite.com/acme/web/builds/7#x":   "/organizations/acme/pipelines/web/builds/7",
		"https://buildkite.com/other/web/builds/7":    "",
		"https://buildkite.com/acme/we%2Fb/builds/7":  "",
		"https://buildkite.com/acme/web/builds/../..": "",
		"": "", "::": "", "https://buildkite.com/acme": "",
	} {
		if got, _ := buildPath(address, "acme"); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}
