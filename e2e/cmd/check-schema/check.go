package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// counts says how much was looked at, so that a check of nothing shows.
type counts struct {
	types, operations int
}

// check compares the subset in subsetFile and the operations in queryFiles with
// the schema in schemaFile. It returns one sentence per difference, each naming
// the place; the error is for files that cannot be read or parsed.
func check(schemaFile, subsetFile string, queryFiles []string) ([]string, counts, error) {
	full, err := load(schemaFile)
	if err != nil {
		return nil, counts{}, err
	}
	subset, err := load(subsetFile)
	if err != nil {
		return nil, counts{}, err
	}

	differences, types := compare(subset, full)
	checked := counts{types: types}
	if types == 0 {
		return nil, checked, fmt.Errorf("%s defines no types", subsetFile)
	}

	for _, file := range queryFiles {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, checked, fmt.Errorf("read operations: %w", err)
		}
		document, problems := gqlparser.LoadQueryWithRules(full, string(text), rules.NewDefaultRules())
		differences = append(differences, sentences(file, schemaFile, problems)...)
		// A query that Buildkite knows may still ask for what our subset lacks.
		_, problems = gqlparser.LoadQueryWithRules(subset, string(text), rules.NewDefaultRules())
		differences = append(differences, sentences(file, subsetFile, problems)...)
		if document == nil {
			continue
		}
		if len(document.Operations) == 0 {
			return nil, checked, fmt.Errorf("%s holds no operations", file)
		}
		checked.operations += len(document.Operations)
	}
	return differences, checked, nil
}

func load(file string) (*ast.Schema, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: file, Input: string(text)})
	if err != nil {
		return nil, fmt.Errorf("parse schema: %w", err)
	}
	return schema, nil
}

func sentences(file, against string, problems gqlerror.List) []string {
	var all []string
	for _, problem := range problems {
		var located *gqlerror.Error
		if !errors.As(problem, &located) {
			all = append(all, fmt.Sprintf("%s: %v", file, problem))
			continue
		}
		line := 0
		if len(located.Locations) > 0 {
			line = located.Locations[0].Line
		}
		all = append(all, fmt.Sprintf("%s:%d: %s (by %s)", file, line, located.Message, against))
	}
	return all
}
