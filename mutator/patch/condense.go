package patch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	operations "gomodules.xyz/jsonpatch/v2"
)

const (
	specPath = "/spec"
	// condensable is how many operations within the spec become one. Carrying one
	// out costs the API server about as much as writing the spec anew, because its
	// library encodes all that encloses the place again.
	condensable = 4
)

// condense turns operations within the spec into one that writes the whole spec, as
// they leave it: with all fields of the document that they do not touch. The tree is
// the document, and is changed.
func condense(tree map[string]any, list []operations.Operation) ([]operations.Operation, error) {
	isInSpec := func(operation operations.Operation) bool { return strings.HasPrefix(operation.Path, specPath+"/") }
	within, others := 0, []operations.Operation(nil)
	for _, operation := range list {
		if isInSpec(operation) {
			within++
		} else {
			others = append(others, operation)
		}
	}
	if within <= condensable {
		return list, nil
	}
	spec := tree["spec"]
	for _, operation := range list {
		if !isInSpec(operation) {
			continue
		}
		var err error
		if spec, err = carryOut(spec, tokensOf(operation.Path)[1:], operation); err != nil {
			return nil, fmt.Errorf("condense %s of %s: %w", operation.Operation, operation.Path, err)
		}
	}
	return append(others, operations.NewOperation("add", specPath, spec)), nil
}

var unescaper = strings.NewReplacer("~1", "/", "~0", "~")

// tokensOf splits a JSON pointer.
func tokensOf(path string) []string {
	tokens := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, token := range tokens {
		tokens[i] = unescaper.Replace(token)
	}
	return tokens
}

// carryOut does one operation at a place below a node, and returns the node as it is
// then.
func carryOut(node any, path []string, operation operations.Operation) (any, error) {
	token := path[0]
	switch node := node.(type) {
	case map[string]any:
		switch {
		case len(path) > 1:
			child, err := carryOut(node[token], path[1:], operation)
			if err != nil {
				return nil, err
			}
			node[token] = child
		case operation.Operation == "remove":
			delete(node, token)
		default:
			node[token] = operation.Value
		}
		return node, nil
	case []any:
		return carryOutInList(node, path, operation)
	default:
		return nil, fmt.Errorf("%q is in a %T", token, node)
	}
}

func carryOutInList(list []any, path []string, operation operations.Operation) ([]any, error) {
	i, err := strconv.Atoi(path[0])
	if err != nil || i < 0 || i > len(list) || i == len(list) && (len(path) > 1 || operation.Operation != "add") {
		return nil, fmt.Errorf("%q is no index in a list of %d", path[0], len(list))
	}
	switch {
	case len(path) > 1:
		if list[i], err = carryOut(list[i], path[1:], operation); err != nil {
			return nil, err
		}
	case operation.Operation == "remove":
		return slices.Delete(list, i, i+1), nil
	case operation.Operation == "add":
		return slices.Insert(list, i, operation.Value), nil
	default:
		list[i] = operation.Value
	}
	return list, nil
}
