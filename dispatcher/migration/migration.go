// Package migration is the table of what becomes of every name that the
// existing stack gave its users: configuration keys, chart values, Secrets,
// fields of the kubernetes plugin, labels and annotations.
//
// It is data, and imports nothing. The dispatcher looks up the options that it
// does not have, the chart is given the part that concerns it as a file, and
// docs/migrate.md shows the whole. Tests put each row through the code that
// decides it.
package migration

import (
	"iter"
	"slices"
	"strings"
)

// Kind is where a name is written.
type Kind string

// The kinds, as people call them.
const (
	// ConfigKey is a key of the controller's file, and, unless it is FileOnly, a
	// flag and an environment variable; the chart's config has it, too. Keys of
	// an object are behind a dot.
	ConfigKey Kind = "configuration key"
	// ChartValue is a value of the chart other than those of config.
	ChartValue Kind = "chart value"
	// Secret is the name of a Secret, or of a key in it.
	Secret Kind = "Secret"
	// PluginField is a field of the kubernetes plugin in a step.
	PluginField Kind = "plugin field"
	// Step is what the stack reads of a step outside the plugin.
	Step Kind = "step"
	// Label and Annotation are on the objects that the stack makes.
	Label      Kind = "label"
	Annotation Kind = "annotation"
)

// Kinds are all of them, in the order of the documentation.
func Kinds() []Kind {
	return []Kind{ConfigKey, ChartValue, Secret, PluginField, Step, Label, Annotation}
}

// Fate is what becomes of a name.
type Fate string

const (
	// Honoured names mean what they did, perhaps by another name of ours.
	Honoured Fate = "honoured"
	// Warned names are accepted and have no effect: one line says so.
	Warned Fate = "ignored, with a warning"
	// Refused names are errors that name the replacement.
	Refused Fate = "refused"
)

// Versions are the two whose names are all in the table. A name with neither
// came and went between them.
type Versions uint8

const (
	// Oldest is v0.4.0.
	Oldest Versions = 1 << iota
	// Newest is v0.47.0.
	Newest
)

// String names them for people.
func (v Versions) String() string {
	switch v {
	case Oldest:
		return "v0.4.0"
	case Newest:
		return "v0.47.0"
	case Oldest | Newest:
		return "both"
	default:
		return "between"
	}
}

// Row is one name.
type Row struct {
	Kind Kind
	Name string
	// In are the versions that have it.
	In   Versions
	Fate Fate
	// As is our name for it: for an honoured one what it is taken as, where that
	// differs, for a refused one what to write in its place.
	As string
	// Chart is for configuration keys that the dispatcher refuses because they
	// are the mutator's: the key of the chart's config as which the chart takes
	// the value, unchanged.
	Chart string
	// Note is a sentence without its full stop: why, or what to know.
	Note string
	// Example is a value, as YAML.
	Example string
	// FileOnly keys were no flag and no variable.
	FileOnly bool
	// Switch flags needed no value.
	Switch bool
}

// All returns the table, kind by kind.
func All() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for _, list := range []struct {
			kind Kind
			rows []Row
		}{
			{ConfigKey, configKeys}, {ConfigKey, agentConfigKeys}, {ChartValue, chartValues}, {Secret, secrets},
			{PluginField, pluginFields}, {Step, stepFields}, {Label, labels}, {Annotation, annotations},
		} {
			for _, row := range list.rows {
				row.Kind = list.kind
				if !yield(row) {
					return
				}
			}
		}
	}
}

// Of returns the rows of a kind.
func Of(kind Kind) []Row {
	var rows []Row
	for row := range All() {
		if row.Kind == kind {
			rows = append(rows, row)
		}
	}
	return rows
}

// Key returns the row of a configuration key.
func Key(name string) (Row, bool) {
	rows := Of(ConfigKey)
	index := slices.IndexFunc(rows, func(row Row) bool { return row.Name == name })
	if index < 0 {
		return Row{}, false
	}
	return rows[index], true
}

// Variable is the environment variable of a configuration key, or "".
func (r Row) Variable() string {
	switch {
	case r.Kind != ConfigKey, r.FileOnly:
		return ""
	case r.Name == "id":
		return "BUILDKITE_K8S_STACK_CONTROLLER_ID"
	default:
		return strings.ToUpper(strings.ReplaceAll(r.Name, "-", "_"))
	}
}

// ChartKey is the key of the chart's config as which the chart takes a
// configuration key; "" is one that the chart does not take.
func (r Row) ChartKey() string {
	switch {
	case r.Chart != "":
		return r.Chart
	case r.Fate != Honoured:
		return ""
	case r.As != "":
		return r.As
	default:
		return r.Name
	}
}

// Sentence says what to do about a name that is not honoured.
func (r Row) Sentence() string {
	switch {
	case r.Chart != "":
		return joined("this is the mutator's: set "+r.Chart+" in its configuration", r.Note)
	case r.Fate == Refused:
		return joined("use "+r.As, r.Note)
	default:
		return r.Note
	}
}

func joined(first, second string) string {
	if second == "" {
		return first
	}
	return first + "; " + second
}
