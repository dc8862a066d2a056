package main

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	chartSchema  = "../../charts/agent-stack-k8s/values.schema.json"
	chartOptions = "../../charts/agent-stack-k8s/files/dispatcher-options.txt"
)

// chartsOwn are options that the chart sets itself: tokens, which do not belong
// into a ConfigMap, and what follows from other values.
var chartsOwn = []string{
	"buildkite-token", "buildkite-token-file", "agent-token", "agent-token-file",
	"kubeconfig", "context", "config", "lease-namespace", "http-address", "mutator",
}

// TestChartKnowsTheOptions holds the chart's list of options and its schema
// against the options; -update rewrites both.
func TestChartKnowsTheOptions(t *testing.T) {
	var names []string
	properties := map[string]any{}
	for _, option := range allOptions() {
		if option.flagOnly {
			continue
		}
		names = append(names, option.name)
		if !slices.Contains(chartsOwn, option.name) {
			properties[option.name] = optionSchema(option)
		}
	}
	slices.Sort(names)
	checkFile(t, chartOptions, strings.Join(names, "\n")+"\n")

	data, err := os.ReadFile(chartSchema)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	config := schema["properties"].(map[string]any)["config"].(map[string]any)
	have := config["properties"].(map[string]any)
	for name := range have {
		if slices.Contains(names, name) {
			delete(have, name)
		}
	}
	maps.Copy(have, properties)
	formerSchemas(have)
	want, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	checkFile(t, chartSchema, string(want)+"\n")
}

func checkFile(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}

		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("go test ./cmd/dispatcher -update rewrites %s (-want +got):\n%s", path, diff)
	}
}

// optionSchema says in JSON Schema what the file may have for an option.
func optionSchema(o option) map[string]any {
	schema := map[string]any{"description": o.usage}
	switch o.kind {
	case "":
		schema["type"] = "boolean"
	case "count":
		schema["type"], schema["minimum"] = "integer", 0
	case "share":
		schema["type"] = "number"
	case "duration":
		schema["type"], schema["pattern"] = "string", `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$|^0$`
	case "uuid":
		schema["type"], schema["pattern"] = "string", `^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`
	case "tags":
		schema["type"], schema["items"] = []string{"string", "array"}, map[string]any{"type": "string"}
	case "list":
		schema["type"], schema["items"] = "array", entrySchema()
	case "choice":
		schema["enum"] = choices[o.name]
	default:
		schema["type"] = "string"
	}

	return schema
}

// choices are the values of options with a choice.
var choices = map[string][]string{
	"failure-exit-status": {statusDistinct, statusCompatible},
	"log-format":          {formatText, formatJSON, formatLogfmt},
}

// entrySchema is one of several queues.
func entrySchema() map[string]any {
	properties := map[string]any{}
	for field := range reflect.TypeFor[queueEntry]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		index := slices.IndexFunc(allOptions(), func(o option) bool { return o.name == name })
		properties[name] = optionSchema(allOptions()[index])
	}

	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

// TestChoicesAreKnown keeps an option with a choice from having none in the chart.
func TestChoicesAreKnown(t *testing.T) {
	for _, option := range allOptions() {
		if option.kind == "choice" && len(choices[option.name]) == 0 {
			t.Errorf("%s: no choices", option.name)
		}
	}
}
