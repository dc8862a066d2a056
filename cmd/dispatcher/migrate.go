package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/dispatcher/migration"
)

// ignoredOption is an option of the existing stack's that has no effect.
type ignoredOption struct {
	// origin names the place, why is a sentence.
	origin, why string
}

// formerOptions are the existing stack's options that this program does not
// have under the same name.
var formerOptions = sync.OnceValue(func() []migration.Row {
	present := allOptions()
	return slices.DeleteFunc(migration.Of(migration.ConfigKey), func(row migration.Row) bool {
		return slices.ContainsFunc(present, func(option option) bool { return option.name == row.Name })
	})
})

func formerOption(name string) (migration.Row, bool) {
	former := formerOptions()
	index := slices.IndexFunc(former, func(row migration.Row) bool { return row.Name == name })
	if index < 0 {
		return migration.Row{}, false
	}
	return former[index], true
}

// migrate replaces the values of former options: by values of ours that mean
// the same, or by nothing where they have no effect. The others are errors.
func migrate(values map[string]given) ([]ignoredOption, error) {
	var ignored []ignoredOption
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		row, isFormer := formerOption(name)
		if !isFormer {
			continue
		}
		value := values[name]
		delete(values, name)
		switch {
		case row.Fate == migration.Refused:
			problems = append(problems, field.Forbidden(field.NewPath(value.origin), row.Sentence()))
		case row.Fate == migration.Warned:
			ignored = append(ignored, ignoredOption{origin: value.origin, why: row.Sentence()})
		case row.As != "":
			problems = append(problems, rename(values, value, row))
		}
	}
	return ignored, errors.Join(problems...)
}

// rename gives a former option's value to the option that it is now, unless
// that one has a value from a higher layer.
func rename(values map[string]given, value given, row migration.Row) error {
	present, isSet := values[row.As]
	switch {
	case !isSet || present.layer < value.layer:
		values[row.As] = value
	case present.layer == value.layer:
		return fmt.Errorf("%s and %s are the same: give one of them", value.origin, row.As)
	}
	return nil
}
