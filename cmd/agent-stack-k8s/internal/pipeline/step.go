package pipeline

import (
	"maps"
	"slices"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
)

// Type is what kind of step something is.
type Type string

// Types of steps.
const (
	CommandStep Type = "command"
	WaitStep    Type = "wait"
	BlockStep   Type = "block"
	InputStep   Type = "input"
	TriggerStep Type = "trigger"
	GroupStep   Type = "group"
	// UnknownStep is a step that says of itself nothing that is known.
	UnknownStep Type = ""
)

// typesByKey says which keys make a step of a type, those that count more first,
// as the agent decides it.
var typesByKey = []struct {
	key  string
	step Type
}{
	{"command", CommandStep}, {"commands", CommandStep}, {"plugins", CommandStep},
	{"wait", WaitStep}, {"waiter", WaitStep},
	{"block", BlockStep}, {"manual", BlockStep}, {"input", InputStep},
	{"trigger", TriggerStep},
	{"group", GroupStep},
}

// typesByName are the values of a step's type, and the steps that are one word.
var typesByName = map[string]Type{
	"command": CommandStep, "commands": CommandStep, "script": CommandStep,
	"wait": WaitStep, "waiter": WaitStep,
	"block": BlockStep, "manual": BlockStep, "input": InputStep,
	"trigger": TriggerStep, "group": GroupStep,
}

// Keys are those that make a step one of a type.
func Keys(step Type) []string {
	var keys []string
	for _, one := range typesByKey {
		if one.step == step {
			keys = append(keys, one.key)
		}
	}

	return keys
}

// Names are the values of the key "type" for a type of step.
func Names(step Type) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(typesByName)) {
		if typesByName[name] == step {
			names = append(names, name)
		}
	}

	return names
}

// TypeOf returns the type of a step, and the key that makes it one. The key is
// empty where a word or the key "type" says it.
func TypeOf(node *document.Node) (Type, string) {
	if node == nil {
		return UnknownStep, ""
	}
	if word, isText := node.Scalar.(string); isText {
		return typesByName[word], ""
	}
	if named := node.Get("type"); named != nil {
		return typesByName[named.Text()], ""
	}
	for _, one := range typesByKey {
		if node.Entry(one.key) != nil {
			return one.step, one.key
		}
	}

	return UnknownStep, ""
}

// Nested returns the step inside a step that is written as the only key of an
// object, {command: {command: make}}, with that key; and else the node itself.
func Nested(node *document.Node) (inner *document.Node, key string) {
	if node == nil || node.Kind != document.Object || len(node.Entries) != 1 {
		return node, ""
	}
	entry := node.Entries[0]
	if _, known := typesByName[entry.Key]; !known || entry.Value.Kind != document.Object || entry.Key == "group" {
		return node, ""
	}

	return entry.Value, entry.Key
}
