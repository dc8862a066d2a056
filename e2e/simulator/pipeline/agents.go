package pipeline

import (
	"fmt"
	"strings"
)

// rules reads agents: a map (queue: kubernetes), a list of key=value, or one
// key=value. The result is nil when the key is absent, and empty, not nil, when
// it is there without entries: that clears the pipeline's.
func (f *fields) rules(name string) []string {
	value := f.take(name)
	if value == nil {
		return nil
	}
	result := []string{}
	if keys, values, ok := asMap(value); ok {
		for _, key := range keys {
			result = append(result, Rule(fmt.Sprintf("%s=%v", key, values[key])))
		}
		return result
	}
	for _, entry := range asList(value) {
		text, ok := entry.(string)
		if !ok || strings.TrimSpace(text) == "" {
			f.problemf(name, "want a map or a list of key=value, have %v", entry)
			continue
		}
		result = append(result, Rule(text))
	}
	return result
}

// Rule brings a tag or a rule into the form key=value. Without a value it is
// true: "macos" means "macos=true".
func Rule(text string) string {
	key, value, found := strings.Cut(strings.TrimSpace(text), "=")
	if !found {
		value = "true"
	}
	return strings.TrimSpace(key) + "=" + strings.TrimSpace(value)
}

// dependencies reads depends_on: a key, a list of keys, or a list of
// {step, allow_failure}. explicit is true when the key is there at all.
func (f *fields) dependencies(name string) (result []Dependency, explicit bool) {
	value := f.take(name)
	if _, explicit = f.values[name]; !explicit {
		return nil, false
	}
	for _, entry := range asList(value) {
		if text, ok := entry.(string); ok {
			result = append(result, Dependency{Step: text})
			continue
		}
		_, values, ok := asMap(entry)
		if !ok {
			f.problemf(name, "want a step's key or a list of them, have %v", entry)
			continue
		}
		inner := fields{where: f.where + ": " + name, values: values}
		dependency := Dependency{Step: inner.text("step"), AllowFailure: inner.flag("allow_failure")}
		if dependency.Step == "" {
			inner.problemf("step", "is missing")
		}
		if err := inner.done(); err != nil {
			f.problems = append(f.problems, err.Error())
		}
		result = append(result, dependency)
	}
	return result, true
}

// softFail reads true, false or a list of {exit_status: number or "*"}.
func (f *fields) softFail(name string) SoftFail {
	value := f.take(name)
	if flag, ok := value.(bool); ok {
		return SoftFail{Any: flag}
	}
	var result SoftFail
	for _, entry := range asList(value) {
		_, values, ok := asMap(entry)
		if !ok {
			f.problemf(name, "want true, false or a list of exit_status, have %v", entry)
			continue
		}
		inner := fields{where: f.where + ": " + name, values: values}
		if values["exit_status"] == "*" {
			inner.take("exit_status")
			result.Any = true
		} else if status := inner.number("exit_status"); status != nil {
			result.Statuses = append(result.Statuses, *status)
		}
		if err := inner.done(); err != nil {
			f.problems = append(f.problems, err.Error())
		}
	}
	return result
}
