package main

import (
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/dispatcher/migration"
)

const chartMigration = "../../charts/agent-stack-k8s/files/migration.yaml"

// formerNames is what the chart has to know of the existing stack's names.
type formerNames struct {
	// Taken maps names of config to those as which they are taken.
	Taken map[string]string `json:"taken"`
	// Refused and Ignored map names of config to a sentence.
	Refused map[string]string `json:"refused"`
	Ignored map[string]string `json:"ignored"`
	// Accepted have no effect because it is so anyway.
	Accepted []string `json:"accepted"`
	// Values maps refused values beside config to a sentence.
	Values map[string]string `json:"values"`
}

// TestChartKnowsTheFormerNames writes the chart's part of the table of fates.
func TestChartKnowsTheFormerNames(t *testing.T) {
	names := formerNames{Taken: map[string]string{}, Refused: map[string]string{}, Ignored: map[string]string{}, Values: map[string]string{}}
	for _, row := range formerOptions() {
		switch key := row.ChartKey(); {
		case row.Name == "agent-config":
			// Its keys are rows of their own.
		case row.Fate == migration.Warned:
			names.Ignored[row.Name] = row.Sentence()
		case key == row.Name:
			names.Accepted = append(names.Accepted, row.Name)
		case key != "":
			names.Taken[row.Name] = key
		default:
			names.Refused[row.Name] = row.Sentence()
		}
	}
	slices.Sort(names.Accepted)
	for _, row := range migration.Of(migration.ChartValue) {
		if row.Fate == migration.Refused {
			names.Values[row.Name] = row.Sentence()
		}
	}
	text, err := yaml.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	checkFile(t, chartMigration, "# Generated from dispatcher/migration: go test ./cmd/dispatcher -update\n"+string(text))
}

// formerSchemas adds the existing stack's names to the chart's schema: what is
// taken as something else has the schema of that, and of the rest the chart
// itself says what it thinks.
func formerSchemas(properties map[string]any) {
	agent := map[string]any{}
	properties["agent-config"] = map[string]any{"type": []string{"object", "null"}, "additionalProperties": false, "properties": agent}
	for _, row := range formerOptions() {
		if row.Name == "agent-config" {
			continue
		}
		schema := map[string]any{"description": row.Sentence()}
		if key := row.ChartKey(); key != "" && key != row.Name {
			schema = map[string]any{"$ref": "#/properties/config/properties/" + strings.ReplaceAll(key, ".", "/properties/")}
		}
		if name, isAgents := strings.CutPrefix(row.Name, "agent-config."); isAgents {
			agent[name] = schema
		} else {
			properties[row.Name] = schema
		}
	}
}
