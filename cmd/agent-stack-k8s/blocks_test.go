package main

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/buildkite/agent-stack-k8s/docs/pages"
)

// repositories are what a reader stands in: the files by their paths. A page that
// is not listed has those of the empty name.
var repositories = map[string]map[string]string{
	"": {
		".buildkite/pipeline.yml": "steps:\n- label: test\n  command: make test\n  agents: {queue: kubernetes}\n",
		"templates.yaml":          "apiVersion: v1\nitems: []\nkind: List\nmetadata: {resourceVersion: \"\"}\n",
	},
	// What the page has lint find.
	"docs/lint.md": {".buildkite/pipeline.yml": `steps:
- label: lint
  command: make lint
  agents: {queue: kubernetes}
- label: test
  command: make test
  agents: {queue: kubernetes}
  plugins:
  - kubernetes:
      podSpec:
        containers:
        - imge: golang:1.26
`},
}

// TestShellBlocks runs the blocks of the pages that name it, as they stand, with
// bash and this program, in a repository with a pipeline. Each block has to
// succeed; one with prompts has to print what the page shows, whatever the status.
func TestShellBlocks(t *testing.T) {
	blocks, err := pages.Blocks("../..")
	if err != nil {
		t.Fatal(err)
	}
	configuration, err := os.ReadFile(platform)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, block := range blocks {
		if !block.RunBy("TestShellBlocks", "cmd/agent-stack-k8s") {
			continue
		}
		ran++
		t.Run(block.String(), func(t *testing.T) {
			files := map[string]string{"mutator.yaml": string(configuration)}
			maps.Copy(files, repositories[""])
			if block.Prompts {
				maps.Copy(files, repositories[block.Page])
			}
			directory := t.TempDir()
			for name, text := range files {
				path := filepath.Join(directory, filepath.FromSlash(name))
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			runBlock(t, block, directory)
		})
	}
	if ran < 5 {
		t.Errorf("%d blocks ran", ran)
	}
}

func runBlock(t *testing.T, block pages.Block, directory string) {
	t.Helper()
	if !block.Prompts {
		if output, err := shell(t, directory, "set -euo pipefail\n"+block.Text); err != nil {
			t.Errorf("%s%v\n%s", block.Text, err, output)
		}
		return
	}
	for _, part := range strings.Split("\n"+block.Text, "\n$ ")[1:] {
		command, want, _ := strings.Cut(part, "\n")
		output, _ := shell(t, directory, command)
		if strings.TrimSpace(output) != strings.TrimSpace(want) {
			t.Errorf("%s prints\n%s\nand the page shows\n%s", command, output, want)
		}
	}
}

// shell runs a script with this program on its path, where testscript has put it.
func shell(t *testing.T, directory, script string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "bash", "-c", script)
	command.Dir = directory
	// Without a cluster, a token or colours of the machine's.
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + directory}
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	return output.String(), err //nolint:wrapcheck // the caller says what ran
}
