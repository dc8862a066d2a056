package lint

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
)

const page = "../../../../docs/lint.md"

// Marks around what is generated in a page.
const (
	generatedBegin = "<!-- generated: go test ./cmd/agent-stack-k8s/internal/lint -run TestDocs -update -->\n"
	generatedEnd   = "<!-- end -->\n"
)

// TestDocs: the page has every rule, and the help.
func TestDocs(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("| rule | finds | what to do |\n|---|---|---|\n")
	for _, one := range finding.Explanations {
		fmt.Fprintf(&rules, "| `%s` | %s | %s |\n", one.Rule, one.Finds, one.Do)
	}
	var help, stderr bytes.Buffer
	if status := Main([]string{"--help"}, "test", nil, &help, &stderr); status != statusClean {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want, rest := "", string(text)
	for _, part := range []string{rules.String(), "```\n" + help.String() + "```\n"} {
		before, after, found := strings.Cut(rest, generatedBegin)
		_, tail, ended := strings.Cut(after, generatedEnd)
		if !found || !ended {
			t.Fatalf("%s lacks the marks around a generated part", page)
		}
		want += before + generatedBegin + part + generatedEnd
		rest = tail
	}
	want += rest
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}

		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("run the test with -update (-want +got):\n%s", diff)
	}
}
