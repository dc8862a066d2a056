package lint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
)

// conventional is where pipelines are, as the agent looks for them.
var conventional = []string{
	".buildkite/pipeline.yml", ".buildkite/pipeline.yaml",
	"buildkite.yml", "buildkite.yaml", "buildkite/pipeline.yml", "buildkite/pipeline.yaml",
}

// extensions are those of the files in a directory that are read.
var extensions = []string{".json", ".yaml", ".yml"}

// source is a file's text.
type source struct {
	// name is for messages.
	name string
	text []byte
}

// read returns the files, of directories those that are pipelines, and without
// any the one where the agent would look.
func read(names []string, stdin io.Reader, stderr io.Writer) ([]source, error) {
	if len(names) == 0 {
		name, err := findPipeline()
		if err != nil {
			return nil, err
		}
		names = []string{name}
	}
	var sources []source
	for _, name := range names {
		found, err := readOne(name, stdin, stderr)
		if err != nil {
			return nil, err
		}
		sources = append(sources, found...)
	}

	return sources, nil
}

func readOne(name string, stdin io.Reader, stderr io.Writer) ([]source, error) {
	if name == "-" {
		text, err := io.ReadAll(stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}

		return []source{{"<stdin>", text}}, nil
	}
	if isDirectory(name) {
		return readDirectory(name, stderr)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}

	return []source{{name, text}}, nil
}

// readDirectory returns a directory's pipelines, without those of directories in
// it. A repository's are in .buildkite.
func readDirectory(name string, stderr io.Writer) ([]source, error) {
	if inner := filepath.Join(name, ".buildkite"); isDirectory(inner) {
		name = inner
	}
	sources, err := pipelinesIn(name, stderr)
	if err == nil && len(sources) == 0 {
		err = fmt.Errorf("%s: no file in it that ends in .json, .yaml or .yml is a pipeline", name)
	}

	return sources, err
}

func isDirectory(name string) bool {
	info, err := os.Stat(name)

	return err == nil && info.IsDir()
}

func pipelinesIn(directory string, stderr io.Writer) ([]source, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	var sources []source
	for _, entry := range entries {
		if entry.IsDir() || !slices.Contains(extensions, filepath.Ext(entry.Name())) {
			continue
		}
		name := filepath.Join(directory, entry.Name())
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if !isPipeline(text) {
			fmt.Fprintf(stderr, "%s: left out: not a pipeline\n", name)

			continue
		}
		sources = append(sources, source{name, text})
	}

	return sources, nil
}

// isPipeline says whether a file is meant to be a pipeline. What cannot be read
// may be one.
func isPipeline(text []byte) bool {
	documents, problems := document.Parse(text)

	return len(problems) > 0 || len(documents) > 0 && pipeline.Is(documents[0])
}

func findPipeline() (string, error) {
	for _, file := range conventional {
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}

	return "", errors.New("there is no .buildkite/pipeline.yml here; name a file with -f, or - for standard input")
}
