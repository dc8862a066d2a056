package lint

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gopipeline "github.com/buildkite/go-pipeline"
	"github.com/buildkite/go-pipeline/warning"
	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/admission"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
)

var update = flag.Bool("update", false, "write the findings into testdata, and the rules into docs/lint.md")

func testLinter(t testing.TB, configFile string) linter {
	t.Helper()
	config, err := admission.ReadConfig(configFile, "test")
	if err != nil {
		t.Fatal(err)
	}

	return linter{config: config}
}

// pipelineFiles are the pipelines of a directory of testdata.
func pipelineFiles(t testing.TB, directory string, least int) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", directory, "*.yml"))
	if err != nil || len(files) < least {
		t.Fatalf("%d pipelines in testdata/%s, want %d: %v", len(files), directory, least, err)
	}

	return files
}

// TestBroken: pipelines as people got them wrong, beside each what lint says. A
// file of another configuration is beside those that need one.
func TestBroken(t *testing.T) {
	files := pipelineFiles(t, "broken", 40)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			l := testLinter(t, existing(strings.TrimSuffix(file, ".yml")+".config.yaml"))
			if templates := existing(strings.TrimSuffix(file, ".yml") + ".templates.yaml"); templates != "" {
				if l.templates, err = admission.ReadTemplates(templates); err != nil {
					t.Fatal(err)
				}
			}
			result := l.lint(text)
			if len(result.findings) == 0 {
				t.Fatal("nothing was found")
			}
			var lines strings.Builder
			for _, one := range result.findings {
				lines.WriteString(one.Line(name+".yml") + "\n")
			}
			compareGolden(t, strings.TrimSuffix(file, ".yml")+".txt", lines.String())
			_, err = gopipeline.Parse(bytes.NewReader(text))
			if err != nil && warning.As(err) == nil && !result.hasErrors() {
				t.Errorf("the agent would refuse the file, and lint does not: %v", err)
			}
		})
	}
	stale(t, "broken")
}

// existing returns a file's name if there is such a file.
func existing(name string) string {
	if _, err := os.Stat(name); err != nil {
		return ""
	}

	return name
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}

		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// stale looks for files that belong to no pipeline.
func stale(t *testing.T, directory string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("testdata", directory))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name, _, _ := strings.Cut(entry.Name(), ".")
		if existing(filepath.Join("testdata", directory, name+".yml")) == "" {
			t.Errorf("%s belongs to no pipeline", entry.Name())
		}
	}
}

// TestSound: pipelines of many forms in which there is nothing to find.
func TestSound(t *testing.T) {
	l := testLinter(t, "")
	for _, file := range pipelineFiles(t, "sound", 5) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			result := l.lint(text)
			if result.steps == 0 {
				t.Error("no command steps")
			}
			for _, one := range result.findings {
				t.Error(one.Line(file))
			}
		})
	}
}

// TestEveryRuleIsShown: each rule has a pipeline that breaks it.
func TestEveryRuleIsShown(t *testing.T) {
	var shown []string
	for _, file := range pipelineFiles(t, "broken", 1) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range testLinter(t, existing(strings.TrimSuffix(file, ".yml")+".config.yaml")).lint(text).findings {
			shown = append(shown, string(one.Rule))
		}
	}
	for _, one := range explained() {
		if !slices.Contains(shown, one) {
			t.Errorf("no pipeline in testdata/broken shows the rule %s", one)
		}
	}
}

// explained are the names of the rules that are explained.
func explained() []string {
	var names []string
	for _, one := range finding.Explanations {
		names = append(names, string(one.Rule))
	}

	return names
}
