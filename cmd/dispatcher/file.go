package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/buildkite/agent-stack-k8s/dispatcher/migration"
)

// maxFileBytes is far above any configuration.
const maxFileBytes = 1 << 20

// readFile takes options from a YAML file whose keys are their names. Values
// that could be understood are returned along with an error about others.
func readFile(path string) (map[string]given, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the file of --config: %w", err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("%s: %d bytes is too large for a configuration", path, len(data))
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("%s: not YAML: %w", path, err)
	}
	if len(document.Content) == 0 {
		return map[string]given{}, nil
	}
	return readMapping(path, document.Content[0])
}

func readMapping(path string, mapping *yaml.Node) (map[string]given, error) {
	if mapping.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: want keys such as org and tags with their values", path)
	}
	values := map[string]given{}
	var problems []error
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		origin := fmt.Sprintf("%s line %d: %s", path, key.Line, key.Value)
		text, err := readValue(key.Value, value)
		if _, isTwice := values[key.Value]; isTwice {
			err = errors.New("is there twice")
		}
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("%s: %w", origin, err))
		case text != "":
			values[key.Value] = given{text: text, origin: origin, layer: layerFile}
		}
	}
	return values, errors.Join(problems...)
}

// readValue returns a value as the text that a flag would have. No value is no
// text.
func readValue(name string, value *yaml.Node) (string, error) {
	former, isFormer := formerOption(name)
	if !isFileOption(name) && !isFormer {
		return "", errors.New("no such option" + didYouMean(name, ""))
	}
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	switch {
	case value.Kind == yaml.ScalarNode && value.Tag == "!!null":
		return "", nil
	case isFormer && (former.Fate != migration.Honoured || former.As == ""):
		// It has no effect, whatever it is.
		return name, nil
	case name == "queues":
		return readQueues(value)
	case value.Kind == yaml.ScalarNode:
		return value.Value, nil
	case value.Kind == yaml.SequenceNode && name == "tags":
		var texts []string
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode {
				return "", errors.New("want a list of texts")
			}
			texts = append(texts, item.Value)
		}
		return strings.Join(texts, ","), nil
	default:
		return "", errors.New("want a single value")
	}
}

// readQueues returns a list of objects as it is.
func readQueues(value *yaml.Node) (string, error) {
	if value.Kind != yaml.SequenceNode {
		return "", errors.New("want a list of queues")
	}
	text, err := yaml.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("read the list: %w", err)
	}
	return string(text), nil
}

func isFileOption(name string) bool {
	for _, option := range allOptions() {
		if option.name == name {
			return !option.flagOnly && name != "config"
		}
	}
	return false
}
