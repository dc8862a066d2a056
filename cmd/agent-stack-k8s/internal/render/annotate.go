package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/terminal"
)

// maxReplaced is how much is shown of a value that was replaced.
const maxReplaced = 40

// explained is a pod as YAML with a comment behind each value that says where it
// comes from.
func (r *renderer) explained(in input, pod json.RawMessage) (string, error) {
	origins, err := r.provenance(in, pod)
	if err != nil {
		return "", err
	}
	text, err := yaml.JSONToYAML(pod)
	if err != nil {
		return "", fmt.Errorf("write the pod: %w", err)
	}
	var document yamlv3.Node
	if err := yamlv3.Unmarshal(text, &document); err != nil {
		return "", fmt.Errorf("write the pod: %w", err)
	}
	for _, root := range document.Content {
		comment(root, "", origins)
	}
	var out bytes.Buffer
	encoder := yamlv3.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(&document); err != nil {
		return "", fmt.Errorf("write the pod: %w", err)
	}
	if !r.colored {
		return out.String(), nil
	}
	return commentPattern.ReplaceAllStringFunc(out.String(), func(found string) string {
		return terminal.Painter(true).Paint(terminal.Dim, found)
	}), nil
}

// commentPattern finds our comments.
var commentPattern = regexp.MustCompile(`(?m) # (?:pod|template|dispatcher|platform default|resource class|platform patch|step image|plugin|plugin patch|injected)(?:, was .*)?$`)

func comment(node *yamlv3.Node, path string, origins map[string]origin) {
	switch node.Kind {
	case yamlv3.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			comment(node.Content[i+1], memberPath(path, node.Content[i].Value), origins)
		}
	case yamlv3.SequenceNode:
		for i, element := range node.Content {
			comment(element, elementPath(path, i, nodeKeys(element)), origins)
		}
	}
	origin, known := origins[path]
	if !known {
		return
	}
	node.LineComment = origin.source
	if was := origin.replaced; was != "" {
		if len(was) > maxReplaced {
			was = strings.ToValidUTF8(was[:maxReplaced], "") + "…"
		}
		node.LineComment += ", was " + was
	}
}

func nodeKeys(node *yamlv3.Node) map[string]string {
	if node.Kind != yamlv3.MappingNode {
		return nil
	}
	keys := map[string]string{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		for _, key := range elementKeys {
			if node.Content[i].Value == key {
				keys[key] = node.Content[i+1].Value
			}
		}
	}
	return keys
}
