package lint

import (
	"strings"
	"testing"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/admission"
)

// FuzzLint checks that any file gives findings rather than a crash.
func FuzzLint(f *testing.F) {
	config, err := admission.ReadConfig("", "test")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		"steps: [{command: a, plugins: [{kubernetes: {podSpec: {containers: [{image: x, command: [y]}]}}}]}]",
		"- plugins: {kubernetes#v1: {sidecars: [1], checkout: null, podSpec: {volumes: {}}}}",
		"steps: [{plugins: [kubernetes, [], {}, null, {a: {}, b: 1}]}, null, [], wait, {group: g, steps: [{}]}]",
		"steps: [{agents: 1, env: [], image: {}, plugins: {kubernetes: []}}]",
		"steps: [{agents: {a: \"b,c\"}, plugins: [{kubernetes: {extraVolumeMounts: [1, {name: [x]}], podSpec: 7}}]}]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, finding := range (linter{config: config}).lint([]byte(text)).findings {
			if line := finding.Line("file"); strings.ContainsAny(line, "\n") {
				t.Errorf("more than a line: %q", line)
			}
		}
	})
}
