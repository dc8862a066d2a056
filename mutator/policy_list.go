package mutator

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// PolicyList says which values authors may use: those that a pattern of Allow
// matches and none of Deny. In a pattern * stands for any text, slashes too; all
// else stands for itself. A list that is left out is the default, which
// each use of PolicyList names; an empty one matches nothing.
type PolicyList struct {
	Allow []string `json:"allow,omitzero"`
	Deny  []string `json:"deny,omitzero"`
}

// everything is the list of a rule that is not in use.
var everything = PolicyList{Allow: []string{"*"}}

// or fills what is left out.
func (l PolicyList) or(defaults PolicyList) PolicyList {
	if l.Allow == nil {
		l.Allow = defaults.Allow
	}
	if l.Deny == nil {
		l.Deny = defaults.Deny
	}
	return l
}

// permitsAll reports whether there is nothing to check.
func (l PolicyList) permitsAll() bool {
	return len(l.Deny) == 0 && slices.Contains(l.Allow, "*")
}

// objection says what stands against a value and what to do; empty is nothing.
func (l PolicyList) objection(value string) string {
	return l.objectionBy(value, matchesPattern)
}

func (l PolicyList) objectionBy(value string, matches func(pattern, value string) bool) string {
	for _, pattern := range l.Deny {
		if matches(pattern, value) {
			return fmt.Sprintf("the platform's policy denies %q (%s); remove it, or ask your platform team", value, pattern)
		}
	}
	if slices.ContainsFunc(l.Allow, func(pattern string) bool { return matches(pattern, value) }) {
		return ""
	}
	if len(l.Allow) == 0 {
		return fmt.Sprintf("the platform's policy does not allow %q; remove it, or ask your platform team", value)
	}
	return fmt.Sprintf("the platform's policy does not allow %q; use what it allows, %s, or ask your platform team", value, someOf(l.Allow))
}

// maxNamed is how many patterns a refusal names.
const maxNamed = 8

func someOf(patterns []string) string {
	if len(patterns) > maxNamed {
		return quotedList(patterns[:maxNamed]) + fmt.Sprintf(" and %d more", len(patterns)-maxNamed)
	}
	return quotedList(patterns)
}

// matchesPattern reports whether a pattern stands for a value. It tries the
// last * again where the rest does not fit, which is enough: the earlier ones
// stand for as little as they can.
func matchesPattern(pattern, value string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == value
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(value, first) {
		return false
	}
	value = value[len(first):]
	for _, part := range parts[1 : len(parts)-1] {
		place := strings.Index(value, part)
		if place < 0 {
			return false
		}
		value = value[place+len(part):]
	}
	return strings.HasSuffix(value, last)
}

func (l PolicyList) validate(path *field.Path) field.ErrorList {
	return l.validateBy(path, func(string) string { return "" })
}

// validateBy checks each pattern; problem says what is wrong with one.
func (l PolicyList) validateBy(path *field.Path, problem func(pattern string) string) field.ErrorList {
	var errs field.ErrorList
	for _, list := range []struct {
		name     string
		patterns []string
	}{{"allow", l.Allow}, {"deny", l.Deny}} {
		for i, pattern := range list.patterns {
			at := path.Child(list.name).Index(i)
			if pattern == "" {
				errs = append(errs, field.Required(at, "want a pattern; an empty list matches nothing"))
				continue
			}
			if sentence := problem(pattern); sentence != "" {
				errs = append(errs, field.Invalid(at, pattern, sentence))
			}
		}
	}
	return errs
}
