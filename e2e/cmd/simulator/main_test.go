package main

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator"
)

// serveForTest runs a simulator on loopback.
func serveForTest(t *testing.T) (*simulator.Simulator, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	sim, err := simulator.New(simulator.Options{PublicURL: "http://" + server.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = sim.Handler()
	server.Start()
	t.Cleanup(func() {
		server.Close()
		sim.Close()
	})
	return sim, server.URL
}

// execute runs the command line and returns what it printed.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := command()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func pipelineFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pipeline.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCommands(t *testing.T) {
	sim, url := serveForTest(t)
	made, err := sim.CreateBuild(simulator.BuildRequest{Pipeline: `steps: [{label: first, command: make}]`})
	if err != nil {
		t.Fatal(err)
	}
	job := made.Jobs[0].UUID
	sample := pipelineFile(t, "steps: [{command: make}]")
	script := filepath.Join(t.TempDir(), "faults.json")
	if err := os.WriteFile(script, []byte(`[{"api": "graphql", "operation": "jobs*", "kind": "status", "count": 3}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct{ line, want string }{
		{"build -f " + sample, url + "/example/pipeline/builds/2\n"},
		{"repository sample " + filepath.Dir(sample), url + "/git/sample.git "},
		{"jobs --state scheduled", `"first"`},
		{"log " + job, ""},
		{"queue default pause", ""},
		{"cancel " + job, "canceled"},
		{"retry " + job, `scheduled      "first"`},
		{"oracle", "3 jobs, 0 violations, 0 taken and not ended"},
		{"usage", "user-1         0 points,     0 requests, 0 refused"},
		{"faults -f " + script, "0 of 3"},
		{"faults --clear", "graphql  status           jobs*                          0 of 3"},
		{"token graphql another", ""},
		{"token agent agent-token --revoke", ""},
	}
	for _, tc := range cases {
		t.Run(tc.line, func(t *testing.T) {
			got, err := execute(t, append(strings.Fields(tc.line), "--url", url)...)
			if err != nil || !strings.Contains(got, tc.want) {
				t.Errorf("want %q, have %q, %v", tc.want, got, err)
			}
		})
	}
}

func TestBuildWait(t *testing.T) {
	_, url := serveForTest(t)
	cases := map[string]struct {
		text, want string
		err        error
	}{
		"passed": {"steps: [{command: make, skip: true}]", "build passed", nil},
		"failed": {"steps: [{command: make, key: a}]", "build canceled", errNotPassed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			client := &simulator.Client{URL: url}
			go func() { // somebody cancels whatever waits
				for t.Context().Err() == nil {
					builds, _ := client.Builds(t.Context())
					for _, build := range builds {
						_, _ = client.CancelBuild(t.Context(), build.UUID)
					}
				}
			}()
			got, err := execute(t, "build", "-f", pipelineFile(t, tc.text), "--wait", "--url", url)
			if !errors.Is(err, tc.err) || !strings.Contains(got, tc.want) {
				t.Errorf("want %q and %v, have %q, %v", tc.want, tc.err, got, err)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	_, url := serveForTest(t)
	cases := map[string]struct {
		args []string
		want string
	}{
		"no file":        {[]string{"build"}, `required flag(s) "file" not set`},
		"missing file":   {[]string{"build", "-f", "/nonexistent"}, "read pipeline"},
		"unknown key":    {[]string{"build", "-f", pipelineFile(t, "steps: [{command: a, colour: b}]"), "--url", url}, "steps[0]: colour"},
		"unknown job":    {[]string{"cancel", "none", "--url", url}, "No job found"},
		"unknown fault":  {[]string{"faults", "-f", pipelineFile(t, `[{"kind": "status", "colour": 1}]`), "--url", url}, `unknown field "colour"`},
		"unknown token":  {[]string{"token", "agent", "none", "--revoke", "--url", url}, "no such agent token"},
		"no such retry":  {[]string{"retry", "none", "--url", url}, "No job found"},
		"neither":        {[]string{"queue", "q", "stop", "--url", url}, "want pause or resume"},
		"nobody there":   {[]string{"jobs", "--url", "http://127.0.0.1:1"}, "reach simulator"},
		"bad address":    {[]string{"serve", "--listen", "256.0.0.1:1"}, "listen on 256.0.0.1:1"},
		"missing folder": {[]string{"repository", "x", "/nonexistent", "--url", url}, "read directory"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := execute(t, tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want %q, have %v", tc.want, err)
			}
		})
	}
}
