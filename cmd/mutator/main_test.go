package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files from what the code does")

// runWith runs a command line and returns its output and its error as text.
func runWith(t *testing.T, environment map[string]string, args ...string) (string, string) {
	t.Helper()
	lookup := func(name string) (string, bool) {
		value, found := environment[name]
		return value, found
	}
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), args, lookup, &stdout, &stderr)
	if err != nil {
		return stdout.String(), err.Error()
	}
	return stdout.String(), ""
}

func TestHelp(t *testing.T) {
	for file, args := range map[string][]string{"help.txt": {"--help"}, "serve-help.txt": {"serve", "--help"}} {
		got, problem := runWith(t, nil, args...)
		if problem != "" {
			t.Errorf("%v: %s", args, problem)
		}
		path := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", args, diff)
		}
	}
	if got, _ := runWith(t, nil, "--version"); got != version+"\n" {
		t.Errorf("--version prints %q, want %q", got, version)
	}
}

func TestRunErrors(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("agentImag: x\nagentBinary: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	complete := []string{"serve", "--config", config, "--tls-cert-file=x", "--tls-private-key-file=y"}
	cases := map[string]struct {
		args        []string
		environment map[string]string
		want        string
	}{
		"no command":       {want: "name a command: serve; see mutator --help"},
		"unknown command":  {args: []string{"sevre"}, want: `unknown command "sevre"; have serve`},
		"no config":        {args: []string{"serve"}, want: "--config is required"},
		"no key":           {args: []string{"serve", "--config=a", "--tls-cert-file=x"}, want: "--tls-private-key-file is required"},
		"stray argument":   {args: append(complete, "now"), want: `unexpected argument "now"`},
		"unknown flag":     {args: []string{"serve", "--cofnig"}, want: "unknown flag: --cofnig"},
		"port":             {args: append(complete, "--port=70000"), want: "--port is 70000; want a port from 1 to 65535"},
		"log format":       {args: append(complete, "--log-format=xml"), want: `--log-format is "xml"; want json or text`},
		"in flight":        {args: append(complete, "--max-in-flight=0"), want: "--max-in-flight is 0; want 1 or more"},
		"environment":      {args: complete, environment: map[string]string{"DRAIN_DELAY": "soon"}, want: `read environment variable DRAIN_DELAY: invalid argument "soon" for "--drain-delay" flag: time: invalid duration "soon"`},
		"flag wins":        {args: append(complete, "--port=0"), environment: map[string]string{"PORT": "443"}, want: "--port is 0; want a port from 1 to 65535"},
		"config is absent": {args: []string{"serve"}, environment: map[string]string{"CONFIG": "/nonexistent", "TLS_CERT_FILE": "x", "TLS_PRIVATE_KEY_FILE": "y"}, want: "read configuration: open /nonexistent: no such file or directory"},
		"config is wrong": {args: complete, want: "read configuration " + config + ":\n  agentBinary: Invalid value: want a string (put it in quotes), found a number\n" +
			"  agentImag: Forbidden: unknown field; did you mean \"agentImage\"?"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, problem := runWith(t, tc.environment, tc.args...)
			if !strings.HasPrefix(problem, tc.want) {
				t.Errorf("run = %q, want %q", problem, tc.want)
			}
		})
	}
}
