package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// exampleEnvironment reads an example as a shell that sources it, and fails for
// variables that are no option's.
func exampleEnvironment(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, isVariable := strings.Cut(line, "=")
		if !isVariable || strings.ContainsAny(value, " \"'$") {
			t.Errorf("%s: %q is not the same for a shell and for other readers", file, line)
		}
		if !slices.ContainsFunc(allOptions(), func(option option) bool { return option.env() == name }) {
			t.Errorf("%s: %s is no option's variable", file, name)
		}
		variables[name] = value
	}
	return variables
}

// The examples of a configuration say the same in two forms, and are taken without
// a complaint.
func TestExamples(t *testing.T) {
	const directory = "../../manifests/examples/"
	outside := []string{"--kubeconfig=" + os.DevNull}
	variables := exampleEnvironment(t, directory+"config.env")
	lookup := func(name string) (string, bool) {
		value, isSet := variables[name]
		return value, isSet
	}
	fromEnvironment, err := load(outside, lookup)
	if err != nil {
		t.Fatalf("config.env: %v", err)
	}
	nothing := func(string) (string, bool) { return "", false }
	fromFile, err := load(append(outside, "--config="+directory+"config.yaml"), nothing)
	if err != nil {
		t.Fatalf("config.yaml: %v", err)
	}
	for name, got := range map[string]options{"config.env": fromEnvironment, "config.yaml": fromFile} {
		if got.org != "my-organization" || got.namespace != "buildkite-jobs" || got.maxInFlight != 100 || got.jobTTL != 10*time.Minute {
			t.Errorf("%s: organization %q, namespace %q, %d in flight, %s", name, got.org, got.namespace, got.maxInFlight, got.jobTTL)
		}
		if queue := got.queues[0].tags.Queue(); queue != "kubernetes" {
			t.Errorf("%s: queue %q", name, queue)
		}
	}
	if len(fromFile.queues) != 2 || len(fromEnvironment.queues) != 1 {
		t.Errorf("%d queues of config.yaml and %d of config.env", len(fromFile.queues), len(fromEnvironment.queues))
	}
	if len(variables) < 5 {
		t.Errorf("config.env has only %s", slices.Sorted(maps.Keys(variables)))
	}
}
