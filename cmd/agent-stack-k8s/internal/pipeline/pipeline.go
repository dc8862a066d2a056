// Package pipeline finds the command steps of a pipeline file and makes of each
// the job that Buildkite would.
package pipeline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
)

// Step is a command step.
type Step struct {
	// Path is where the step is: steps[2], or steps[1].steps[0] in a group.
	Path string
	// Node is the step; a pipeline may write it as a string.
	Node *document.Node

	root *document.Node
}

// Is says whether a document is meant to be a pipeline rather than, say, a
// Kubernetes object.
func Is(root *document.Node) bool {
	return root.Kind == document.List || root.Get("steps") != nil
}

// Steps returns the pipeline's command steps, those in groups included.
func Steps(root *document.Node) ([]Step, error) {
	list := root
	if root.Kind != document.List {
		list = root.Get("steps")
	}
	if list == nil || list.Kind != document.List {
		return nil, errors.New("not a pipeline: want a list of steps under the key steps")
	}
	var found []Step
	collect(root, list, "steps", &found)

	return found, nil
}

func collect(root, list *document.Node, path string, found *[]Step) {
	for i, node := range list.Items {
		here := fmt.Sprintf("%s[%d]", path, i)
		inner, key := Nested(node)
		if key != "" {
			here += "." + key
		}
		if steps := inner.Get("steps"); steps != nil && steps.Kind == document.List {
			collect(root, steps, here+".steps", found)

			continue
		}
		if isCommand(inner, key) {
			*found = append(*found, Step{Path: here, Node: inner, root: root})
		}
	}
}

// isCommand says whether a step becomes a job for an agent. A step of no known
// type is taken for one: its plugins are worth a look.
func isCommand(node *document.Node, nestedIn string) bool {
	if node.Kind != document.Object {
		return false
	}
	kind, _ := TypeOf(node)
	if nestedIn != "" {
		kind = typesByName[nestedIn]
	}

	return kind == CommandStep || kind == UnknownStep
}

// Is says whether a person means this step by a name: its key, id, label or path.
func (s Step) Is(name string) bool {
	for _, key := range []string{"key", "id", "identifier", "label", "name"} {
		if s.Node.Get(key).Text() == name {
			return true
		}
	}

	return s.Path == name
}

// Name is what people call the step: its path and its key or label.
func (s Step) Name() string {
	for _, key := range []string{"key", "id", "identifier", "label", "name"} {
		if name := s.Node.Get(key).Text(); name != "" {
			return s.Path + " (" + name + ")"
		}
	}

	return s.Path
}

// Interpolated says whether a value is not known before the pipeline is
// uploaded or its matrix expanded.
func Interpolated(text string) bool {
	if strings.Contains(text, "{{") {
		return true
	}
	for {
		_, after, found := strings.Cut(text, "$")
		if !found || after == "" {
			return false
		}
		if after[0] == '{' || after[0] == '_' || 'A' <= after[0] && after[0] <= 'Z' || 'a' <= after[0] && after[0] <= 'z' {
			return true
		}
		// $$ is a dollar sign, and $( is for Kubernetes.
		text = strings.TrimPrefix(after, "$")
	}
}
