package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// pipelineBlocks returns the fenced pipelines of a page. What shows a step's
// plugins or retry rules alone is put into a step.
func pipelineBlocks(page string) []string {
	var blocks []string
	for _, part := range strings.Split(page, "\n```yaml\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		switch {
		case strings.HasPrefix(block, "steps:"):
			blocks = append(blocks, block+"\n")
		case strings.HasPrefix(block, "plugins:"), strings.HasPrefix(block, "retry:"):
			blocks = append(blocks, "steps:\n- command: make\n  "+strings.ReplaceAll(block, "\n", "\n  ")+"\n")
		}
	}

	return blocks
}

// TestPipelinesInThePages lints each pipeline that the pages show, and renders
// each of its steps.
func TestPipelinesInThePages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, path := range append(pages, "../../README.md") {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for number, block := range pipelineBlocks(string(page)) {
			total++
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(path), number), func(t *testing.T) {
				checkPipeline(t, block)
			})
		}
	}
	if total < 15 {
		t.Errorf("%d pipelines found", total)
	}
}

// platform is a configuration with resource classes, which some pipelines name.
const platform = "../../manifests/examples/mutator-config.yaml"

func checkPipeline(t *testing.T, text string) {
	t.Helper()
	command := func(arguments ...string) {
		var output bytes.Buffer
		if status := run(arguments, strings.NewReader(text), &output, &output); status != 0 {
			t.Errorf("%s ends with %d:\n%s", strings.Join(arguments, " "), status, &output)
		}
	}
	command("lint", "-f", "-", "--config", platform)
	var pipeline struct {
		Steps []any `json:"steps"`
	}
	if err := yaml.Unmarshal([]byte(text), &pipeline); err != nil {
		t.Fatal(err)
	}
	for index := range pipeline.Steps {
		command("render", "-f", "-", "--config", platform, "--step", fmt.Sprintf("steps[%d]", index))
	}
}
