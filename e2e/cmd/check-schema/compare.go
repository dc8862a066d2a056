package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// comparison collects what in a subset disagrees with the whole.
type comparison struct {
	full        *ast.Schema
	differences []string
}

// compare returns a sentence for everything in subset that full does not have in
// the same shape, and the number of types compared. Leaving things out is
// allowed, except where a client or server would then be surprised: required
// arguments and input fields, and the values of an enum.
func compare(subset, full *ast.Schema) ([]string, int) {
	c := comparison{full: full}
	types := 0
	for _, name := range slices.Sorted(maps.Keys(subset.Types)) {
		ours := subset.Types[name]
		if ours.BuiltIn {
			continue
		}
		types++
		c.definition(ours)
	}
	c.root("query", subset.Query, full.Query)
	c.root("mutation", subset.Mutation, full.Mutation)
	return c.differences, types
}

func (c *comparison) addf(format string, args ...any) {
	c.differences = append(c.differences, fmt.Sprintf(format, args...))
}

func (c *comparison) root(kind string, ours, theirs *ast.Definition) {
	if ours == nil {
		return
	}
	if theirs == nil || theirs.Name != ours.Name {
		c.addf("schema: root %s is %s here, not so in Buildkite's", kind, ours.Name)
	}
}

func (c *comparison) definition(ours *ast.Definition) {
	theirs, ok := c.full.Types[ours.Name]
	if !ok {
		c.addf("%s: Buildkite has no such type", ours.Name)
		return
	}
	if ours.Kind != theirs.Kind {
		c.addf("%s: is %s here, Buildkite's is %s", ours.Name, ours.Kind, theirs.Kind)
		return
	}
	for _, name := range ours.Interfaces {
		if !slices.Contains(theirs.Interfaces, name) {
			c.addf("%s: implements %s here, not so in Buildkite's", ours.Name, name)
		}
	}
	for _, name := range ours.Types {
		if !slices.Contains(theirs.Types, name) {
			c.addf("%s: has member %s here, not so in Buildkite's", ours.Name, name)
		}
	}
	c.values(ours, theirs)
	c.fields(ours, theirs)
}

func (c *comparison) values(ours, theirs *ast.Definition) {
	for _, value := range ours.EnumValues {
		if theirs.EnumValues.ForName(value.Name) == nil {
			c.addf("%s.%s: Buildkite has no such value", ours.Name, value.Name)
		}
	}
	for _, value := range theirs.EnumValues {
		if ours.EnumValues.ForName(value.Name) == nil {
			c.addf("%s: lacks %s, which a reply may hold; add it", ours.Name, value.Name)
		}
	}
}

func (c *comparison) fields(ours, theirs *ast.Definition) {
	for _, field := range ours.Fields {
		place := ours.Name + "." + field.Name
		other := theirs.Fields.ForName(field.Name)
		if other == nil {
			c.addf("%s: Buildkite has no such field", place)
			continue
		}
		c.typed(place, field.Type, other.Type)
		c.defaults(place, field.DefaultValue, other.DefaultValue)
		c.arguments(place, field.Arguments, other.Arguments)
	}
	if ours.Kind != ast.InputObject {
		return
	}
	for _, other := range theirs.Fields {
		if other.Type.NonNull && other.DefaultValue == nil && ours.Fields.ForName(other.Name) == nil {
			c.addf("%s: lacks %s, which Buildkite requires; add it", ours.Name, other.Name)
		}
	}
}

func (c *comparison) arguments(place string, ours, theirs ast.ArgumentDefinitionList) {
	for _, argument := range ours {
		other := theirs.ForName(argument.Name)
		if other == nil {
			c.addf("%s(%s): Buildkite has no such argument", place, argument.Name)
			continue
		}
		where := fmt.Sprintf("%s(%s)", place, argument.Name)
		c.typed(where, argument.Type, other.Type)
		c.defaults(where, argument.DefaultValue, other.DefaultValue)
	}
	for _, other := range theirs {
		if other.Type.NonNull && other.DefaultValue == nil && ours.ForName(other.Name) == nil {
			c.addf("%s: lacks argument %s, which Buildkite requires; add it", place, other.Name)
		}
	}
}

func (c *comparison) typed(place string, ours, theirs *ast.Type) {
	if ours.String() != theirs.String() {
		c.addf("%s: is %s here, Buildkite's is %s", place, ours, theirs)
	}
}

func (c *comparison) defaults(place string, ours, theirs *ast.Value) {
	if written(ours) != written(theirs) {
		c.addf("%s: default is %s here, Buildkite's is %s", place, written(ours), written(theirs))
	}
}

func written(value *ast.Value) string {
	if value == nil {
		return "none"
	}
	return value.String()
}
