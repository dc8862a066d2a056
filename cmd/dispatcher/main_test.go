package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRunEndsAtOnce(t *testing.T) {
	cases := map[string]struct {
		arguments []string
		status    int
		stdout    string
		stderr    string
	}{
		"help":       {[]string{"--help"}, 0, "--max-in-flight COUNT", ""},
		"version":    {[]string{"--version"}, 0, "dev\n", ""},
		"nothing":    {nil, 2, "", "--org: tell which organization"},
		"no cluster": {[]string{"--org=a", "--buildkite-token=t"}, 2, "", "--kubeconfig or --context: needed outside a cluster"},
		"no file":    {[]string{"--org=a", "--buildkite-token=t", "--kubeconfig", "/does/not/exist"}, 2, "", "/does/not/exist: no such file"},
		"no context": {[]string{"--org=a", "--buildkite-token=t", "--kubeconfig", "/dev/null", "--context=x"}, 2, "", `context "x" does not exist`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBERNETES_SERVICE_HOST", "")
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), tc.arguments, environment(nil), &stdout, &stderr)
			if status != tc.status || !strings.Contains(stdout.String(), tc.stdout) || !strings.Contains(stderr.String(), tc.stderr) {
				t.Errorf("status %d\nstdout: %s\nstderr: %s", status, &stdout, &stderr)
			}
		})
	}
}

func TestTokenSource(t *testing.T) {
	if tokenSource("", "") != nil {
		t.Error("a source without a token")
	}
	path := filepath.Join(t.TempDir(), "token")
	source := tokenSource("", path)
	if _, err := source(); err == nil {
		t.Error("no error for a missing file")
	}
	for _, token := range []string{"first", "second"} {
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := source(); err != nil || got != token {
			t.Errorf("got %q, %v; want %q", got, err, token)
		}
	}
	if err := os.WriteFile(path, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := source(); err == nil {
		t.Error("no error for an empty file")
	}
}

func TestElection(t *testing.T) {
	for name, tc := range map[string]struct {
		options   options
		inCluster bool
		want      bool
	}{
		"in a cluster":        {options{}, true, true},
		"on a laptop":         {options{}, false, false},
		"wanted on a laptop":  {options{leaderElect: true, layers: map[string]layer{"leader-elect": layerFlag}}, false, true},
		"unwanted in cluster": {options{layers: map[string]layer{"leader-elect": layerFlag}}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isElected(tc.options, tc.inCluster); got != tc.want {
				t.Errorf("elected %v", got)
			}
		})
	}
}
