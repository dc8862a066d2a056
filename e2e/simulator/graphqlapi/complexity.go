package graphqlapi

import (
	"encoding/json"
	"slices"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Buildkite counts a query's complexity twice, by rules it publishes:
// https://buildkite.com/docs/apis/graphql/graphql-resource-limits
//
// Requested, before it is executed: a scalar or enum costs nothing, an object,
// interface or union one point, and the nodes of a connection as many times as
// the query asks for by first or last, 500 times if it does not say. Actual,
// from the answer: the same with what came back.

// unsizedConnection is how many nodes a connection without first and last counts.
const unsizedConnection = 500

// edgesField is the list of a connection. It costs one point however long it is;
// its nodes cost theirs.
const edgesField = "edges"

// analysis is a query that parses and fits the schema.
type analysis struct {
	schema    *ast.Schema
	operation *ast.OperationDefinition
	root      *ast.Definition
	variables map[string]any
}

// analyze finds the operation to execute. It is nil for what the executor will
// refuse: such a query costs nothing.
func analyze(schema *ast.Schema, text, operationName string, variables map[string]any) *analysis {
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, maxTokens)
	if err != nil || len(validator.ValidateWithRules(schema, document, rules.NewDefaultRules())) > 0 {
		return nil
	}
	operation := document.Operations.ForName(operationName)
	if operation == nil {
		return nil
	}
	a := &analysis{schema: schema, operation: operation, variables: variables, root: schema.Query}
	if coerced, err := validator.VariableValues(schema, operation, variables); err == nil {
		a.variables = coerced // with the defaults of those left out
	}
	if operation.Operation == ast.Mutation {
		a.root = schema.Mutation
	}
	return a
}

// name returns what tests and people know the operation by.
func (a *analysis) name() string {
	switch {
	case a == nil:
		return "invalid"
	case a.operation.Name != "":
		return a.operation.Name
	case len(a.operation.SelectionSet) > 0:
		if field, ok := a.operation.SelectionSet[0].(*ast.Field); ok {
			return field.Name
		}
	}
	return "unnamed"
}

// requested returns the points of everything that the query could return.
func (a *analysis) requested() int {
	return a.requestedOf([]ast.SelectionSet{a.operation.SelectionSet}, a.root, 1)
}

// maxTokens bounds the work of parsing a query.
const maxTokens = 20_000

// requestedOf returns the points of the fields selected of a type. Of a union or
// interface the most expensive member counts. nodes is how many nodes a
// connection of that type has been asked for, 1 elsewhere.
func (a *analysis) requestedOf(sets []ast.SelectionSet, of *ast.Definition, nodes int) int {
	most := 0
	for _, member := range a.members(of) {
		sum := 0
		for _, field := range a.collect(sets, member) {
			child := a.schema.Types[field.definition.Type.Name()]
			if child == nil || !child.IsCompositeType() {
				continue
			}
			switch {
			case isConnection(member) && field.definition.Name == edgesField:
				sum = saturated(sum, 1, nodes*a.requestedOf(field.sets, child, 1))
			case isConnection(child):
				sum = saturated(sum, 1, a.requestedOf(field.sets, child, a.size(field.first)))
			default:
				sum = saturated(sum, 1, a.requestedOf(field.sets, child, 1))
			}
		}
		most = max(most, sum)
	}
	return most
}

// tooMuch is more than any limit: sums stop there instead of running over.
const tooMuch = 1 << 40

func saturated(numbers ...int) int {
	sum := 0
	for _, number := range numbers {
		if number < 0 || number > tooMuch || sum > tooMuch {
			return tooMuch
		}
		sum += number
	}
	return min(sum, tooMuch)
}

// size returns how many nodes a connection is asked for: the larger of first and
// last. Asking for more than a page holds is charged all the same.
func (a *analysis) size(field *ast.Field) int {
	arguments := field.ArgumentMap(a.variables)
	size, known := 0, false
	for _, name := range []string{"first", "last"} {
		if number, ok := whole(arguments[name]); ok {
			size, known = max(size, number), true
		}
	}
	if !known {
		return unsizedConnection
	}
	return min(size, maxRequestedNodes)
}

// maxRequestedNodes keeps products of nested connections within an int.
const maxRequestedNodes = 1 << 20

func whole(value any) (int, bool) {
	switch value := value.(type) {
	case int64:
		return int(value), true
	case float64: // of variables in JSON
		return int(value), true
	case json.Number:
		number, err := value.Int64()
		return int(number), err == nil
	default:
		return 0, false
	}
}

// actual returns the points of an answer: one for every object in it, but for
// the edges of a connection, of which the list counts once.
func (a *analysis) actual(data any) int {
	return a.actualOf([]ast.SelectionSet{a.operation.SelectionSet}, data)
}

func (a *analysis) actualOf(sets []ast.SelectionSet, data any) int {
	object, ok := data.(map[string]any)
	if !ok {
		return 0
	}
	sum := 0
	// Which member of a union the object is of shows in the fields it has.
	for _, field := range a.collect(sets, nil) {
		child := a.schema.Types[field.definition.Type.Name()]
		if child == nil || !child.IsCompositeType() {
			continue
		}
		switch value := object[field.key].(type) {
		case map[string]any:
			sum += 1 + a.actualOf(field.sets, value)
		case []any:
			if field.definition.Name == edgesField {
				sum++
			} else {
				sum += len(value)
			}
			for _, element := range value {
				sum += a.actualOf(field.sets, element)
			}
		}
	}
	return sum
}

func isConnection(of *ast.Definition) bool {
	return slices.Contains(of.Interfaces, "Connection")
}

func loadSchema(text string) (*ast.Schema, error) {
	return gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: text})
}
