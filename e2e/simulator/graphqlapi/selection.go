package graphqlapi

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// selected is a field of the answer: all selections of one key together.
type selected struct {
	key        string
	definition *ast.FieldDefinition
	first      *ast.Field
	sets       []ast.SelectionSet
}

// collect returns the fields that sets select of a type, in order; of any type
// if it is nil.
func (a *analysis) collect(sets []ast.SelectionSet, of *ast.Definition) []*selected {
	var result []*selected
	byKey := map[string]*selected{}
	var walk func(ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, selection := range set {
			switch selection := selection.(type) {
			case *ast.Field:
				if selection.Definition == nil || strings.HasPrefix(selection.Name, "__") || a.skipped(selection.Directives) {
					continue
				}
				field := byKey[selection.Alias]
				if field == nil {
					field = &selected{key: selection.Alias, definition: selection.Definition, first: selection}
					byKey[selection.Alias] = field
					result = append(result, field)
				}
				field.sets = append(field.sets, selection.SelectionSet)
			case *ast.InlineFragment:
				if a.applies(selection.TypeCondition, of) && !a.skipped(selection.Directives) {
					walk(selection.SelectionSet)
				}
			case *ast.FragmentSpread:
				if a.applies(selection.Definition.TypeCondition, of) && !a.skipped(selection.Directives) {
					walk(selection.Definition.SelectionSet)
				}
			}
		}
	}
	for _, set := range sets {
		walk(set)
	}
	return result
}

// skipped reports whether @skip or @include leaves a selection out.
func (a *analysis) skipped(directives ast.DirectiveList) bool {
	for name, out := range map[string]bool{"skip": true, "include": false} {
		directive := directives.ForName(name)
		if directive == nil {
			continue
		}
		if value, ok := directive.ArgumentMap(a.variables)["if"].(bool); ok && value == out {
			return true
		}
	}
	return false
}

func (a *analysis) applies(condition string, of *ast.Definition) bool {
	if condition == "" || of == nil || condition == of.Name {
		return true
	}
	for _, member := range a.members(a.schema.Types[condition]) {
		if member.Name == of.Name {
			return true
		}
	}
	return false
}

// members returns the object types that a type stands for.
func (a *analysis) members(of *ast.Definition) []*ast.Definition {
	if of == nil {
		return nil
	}
	if of.IsAbstractType() {
		return a.schema.GetPossibleTypes(of)
	}
	return []*ast.Definition{of}
}
