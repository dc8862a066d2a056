package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMigrationCommands runs the page's commands of this program as they stand,
// in a repository with the page's pipeline. Doctor needs a cluster, as the page
// says.
func TestMigrationCommands(t *testing.T) {
	data, err := os.ReadFile("../../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	configuration, err := os.ReadFile(platform)
	if err != nil {
		t.Fatal(err)
	}
	repository := t.TempDir()
	if err := os.Mkdir(filepath.Join(repository, ".buildkite"), 0o755); err != nil {
		t.Fatal(err)
	}
	pipelines := pipelineBlocks(string(data))
	if len(pipelines) != 1 {
		t.Fatalf("%d pipelines on the page", len(pipelines))
	}
	for file, text := range map[string]string{".buildkite/pipeline.yml": pipelines[0], "mutator.yaml": string(configuration)} {
		if err := os.WriteFile(filepath.Join(repository, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(repository)
	ran := map[string]int{}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "agent-stack-k8s" || words[1] == "doctor" {
			continue
		}
		for i, word := range words {
			words[i] = strings.Trim(word, "'")
		}
		ran[words[1]]++
		var output bytes.Buffer
		if status := run(words[1:], strings.NewReader(""), &output, &output); status != 0 {
			t.Errorf("%s ends with %d:\n%s", strings.TrimSpace(line), status, &output)
		}
	}
	if ran["lint"] != 2 || ran["render"] != 1 {
		t.Errorf("ran %v", ran)
	}
}
