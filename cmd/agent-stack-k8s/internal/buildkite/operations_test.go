package buildkite

import (
	"os"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// TestOperations holds the queries against the part of Buildkite's schema that
// this project speaks, which `make check-schema` holds against Buildkite's own.
func TestOperations(t *testing.T) {
	text, err := os.ReadFile("../../../../dispatcher/buildkite/schema.graphql")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	document, problems := gqlparser.LoadQueryWithRules(schema, Operations, rules.NewDefaultRules())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if len(document.Operations) != 4 {
		t.Errorf("%d queries", len(document.Operations))
	}
	for _, operation := range document.Operations {
		if _, problems := gqlparser.LoadQueryWithRules(schema, operationText(operation.Name), rules.NewDefaultRules()); len(problems) > 0 {
			t.Errorf("%s alone: %v", operation.Name, problems)
		}
	}
}
