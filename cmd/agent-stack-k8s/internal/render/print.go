package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"sigs.k8s.io/yaml"
)

// Output formats.
const (
	formatYAML = "yaml"
	formatJSON = "json"
	formatDiff = "diff"
)

// print shows a pod; several pods are several documents.
func (r *renderer) print(in input, pod json.RawMessage) error {
	first := r.printed == 0
	r.printed++
	switch r.options.format {
	case formatJSON:
		return r.printJSON(pod)
	case formatDiff:
		return r.printDiff(in, pod)
	}
	text, err := r.yaml(in, pod)
	if err != nil {
		return err
	}
	if !first {
		fmt.Fprintln(r.stdout, "---")
	}
	fmt.Fprintf(r.stdout, "# %s\n%s", in.name, text)

	return nil
}

func (r *renderer) yaml(in input, pod json.RawMessage) (string, error) {
	if r.options.explain {
		return r.explained(in, pod)
	}
	text, err := yaml.JSONToYAML(pod)
	if err != nil {
		return "", fmt.Errorf("write the pod: %w", err)
	}

	return string(text), nil
}

func (r *renderer) printJSON(pod json.RawMessage) error {
	var text bytes.Buffer
	if err := json.Indent(&text, pod, "", "  "); err != nil {
		return fmt.Errorf("write the pod: %w", err)
	}
	fmt.Fprintln(r.stdout, text.String())

	return nil
}

func (r *renderer) printDiff(in input, pod json.RawMessage) error {
	before, err := yaml.JSONToYAML(in.pod)
	if err != nil {
		return fmt.Errorf("write the pod: %w", err)
	}
	after, err := yaml.JSONToYAML(pod)
	if err != nil {
		return fmt.Errorf("write the pod: %w", err)
	}
	text := string(diff.Diff(in.name+", submitted", before, in.name+", admitted", after))
	// The first line repeats the two that follow.
	_, text, _ = strings.Cut(text, "\n")
	if !r.colored {
		_, err := io.WriteString(r.stdout, text)

		return err
	}
	for line := range strings.Lines(text) {
		fmt.Fprint(r.stdout, colorLine(line))
	}

	return nil
}

// colorLine colours a line of a diff as Git does.
func colorLine(line string) string {
	const reset = "\x1b[m"
	var color string
	switch {
	case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
		color = "\x1b[1m"
	case strings.HasPrefix(line, "@@"):
		color = "\x1b[36m"
	case strings.HasPrefix(line, "+"):
		color = "\x1b[32m"
	case strings.HasPrefix(line, "-"):
		color = "\x1b[31m"
	default:
		return line
	}

	return color + strings.TrimSuffix(line, "\n") + reset + "\n"
}
