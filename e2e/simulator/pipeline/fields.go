package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buildkite/go-pipeline/ordered"
)

// fields reads the keys of a step one by one and then tells which nobody read.
type fields struct {
	where    string
	values   map[string]any
	read     map[string]bool
	problems []string
}

func (f *fields) take(name string) any {
	if f.read == nil {
		f.read = map[string]bool{}
	}
	f.read[name] = true
	return f.values[name]
}

func (f *fields) problemf(name, format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf("%s: %s: %s", f.where, name, fmt.Sprintf(format, args...)))
}

// done returns everything that was wrong, unknown keys included.
func (f *fields) done() error {
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		if !f.read[name] {
			f.problemf(name, "unknown key, or one that the simulator does not support; known are %s",
				strings.Join(slices.Sorted(maps.Keys(f.read)), ", "))
		}
	}
	if len(f.problems) == 0 {
		return nil
	}
	return errors.New(strings.Join(f.problems, "; "))
}

// text returns the first of names that is set, as text.
func (f *fields) text(names ...string) string {
	result := ""
	for _, name := range names {
		switch value := f.take(name).(type) {
		case nil:
		case string:
			if result == "" {
				result = value
			}
		case int, float64, bool:
			if result == "" {
				result = fmt.Sprint(value)
			}
		default:
			f.problemf(name, "want text, have %T", value)
		}
	}
	return result
}

func (f *fields) flag(name string) bool {
	switch value := f.take(name).(type) {
	case nil:
		return false
	case bool:
		return value
	case string:
		if parsed, err := strconv.ParseBool(value); err == nil {
			return parsed
		}
	}
	f.problemf(name, "want true or false, have %v", f.values[name])
	return false
}

func (f *fields) number(name string) *int {
	switch value := f.take(name).(type) {
	case nil:
		return nil
	case int:
		return &value
	case float64: // JSON has no integers
		if whole := int(value); float64(whole) == value {
			return &whole
		}
	case string:
		if whole, err := strconv.Atoi(value); err == nil {
			return &whole
		}
	}
	f.problemf(name, "want a whole number, have %v", f.values[name])
	return nil
}

func (f *fields) minutes(name string) time.Duration {
	number := f.number(name)
	if number == nil {
		return 0
	}
	if *number < 1 {
		f.problemf(name, "must be 1 or more")
	}
	return time.Duration(*number) * time.Minute
}

// list reads text or a list of texts and joins it.
func (f *fields) list(name, separator string) string {
	values := asList(f.take(name))
	texts := make([]string, 0, len(values))
	for _, value := range values {
		text, ok := value.(string)
		if !ok {
			f.problemf(name, "want text or a list of texts, have %T", value)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, separator)
}

// skip reads true, false or a reason.
func (f *fields) skip(name string) bool {
	switch value := f.take(name).(type) {
	case nil:
		return false
	case bool:
		return value
	case string:
		return value != "" && value != "false"
	default:
		f.problemf(name, "want true, false or a reason, have %v", value)
		return false
	}
}

// asList makes a list of one out of a single value.
func asList(value any) []any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return value
	default:
		return []any{value}
	}
}

// asMap returns the keys of a mapping in the order they were written, and the
// mapping itself.
func asMap(value any) ([]string, map[string]any, bool) {
	switch value := value.(type) {
	case *ordered.MapSA:
		var keys []string
		values := map[string]any{}
		for key, inner := range value.All {
			keys = append(keys, key)
			values[key] = inner
		}
		return keys, values, true
	case map[string]any:
		return slices.Sorted(maps.Keys(value)), value, true
	default:
		return nil, nil, false
	}
}
