package document

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// resolver turns the YAML library's nodes into ours.
type resolver struct {
	count    int
	problems []Problem
}

func (r *resolver) problemf(at *yaml.Node, format string, arguments ...any) {
	r.problems = append(r.problems, Problem{
		Position: Position{Line: at.Line, Column: at.Column},
		Text:     fmt.Sprintf(format, arguments...),
	})
}

// resolve returns the node, and an empty one after a problem.
func (r *resolver) resolve(node *yaml.Node, depth int) *Node {
	result := &Node{Position: Position{Line: node.Line, Column: node.Column}}
	r.count++
	switch {
	case len(r.problems) > 100:
		return result
	case r.count > maxNodes:
		r.problemf(node, "the document's aliases make it too large")
		// One such problem is enough, and ends the work.
		r.count = math.MinInt

		return result
	case r.count < 0:
		return result
	case depth > maxDepth:
		r.problemf(node, "nested more than %d levels deep", maxDepth)

		return result
	}

	switch node.Kind {
	case yaml.DocumentNode:
		if len(node.Content) == 0 {
			return result
		}

		return r.resolve(node.Content[0], depth+1)
	case yaml.AliasNode:
		resolved := r.resolve(node.Alias, depth+1)
		// Errors in what an alias stands for are found where it was written.
		return resolved
	case yaml.MappingNode:
		result.Kind = Object
		r.object(node, result, depth)
	case yaml.SequenceNode:
		result.Kind = List
		for _, item := range node.Content {
			result.Items = append(result.Items, r.resolve(item, depth+1))
		}
	default:
		result.Scalar = r.scalar(node)
	}

	return result
}

// object reads a mapping's keys, its own first: they win over merged ones.
func (r *resolver) object(node *yaml.Node, result *Node, depth int) {
	var merges []*yaml.Node
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Tag == "!!merge" {
			merges = append(merges, value)

			continue
		}
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			r.problemf(node.Content[i], "a key has to be text")

			continue
		}
		if seen[key.Value] {
			r.problemf(node.Content[i], "the key %q is there twice; keep one", key.Value)

			continue
		}
		seen[key.Value] = true
		position := Position{Line: node.Content[i].Line, Column: node.Content[i].Column}
		result.Entries = append(result.Entries, Entry{Position: position, Key: key.Value, Value: r.resolve(value, depth+1)})
	}
	for _, merge := range merges {
		r.merge(merge, result, seen, depth)
	}
}

// merge adds the entries of "<<": an object, or a list of them.
func (r *resolver) merge(from *yaml.Node, result *Node, seen map[string]bool, depth int) {
	merged := r.resolve(from, depth+1)
	sources := []*Node{merged}
	if merged.Kind == List {
		sources = merged.Items
	}
	for _, source := range sources {
		if source.Kind != Object {
			r.problemf(from, "<< takes an object or a list of objects")

			return
		}
		for _, entry := range source.Entries {
			if !seen[entry.Key] {
				seen[entry.Key] = true
				result.Entries = append(result.Entries, entry)
			}
		}
	}
}

// scalar returns a value as JSON knows it. What JSON does not know, such as
// dates, stays the text that it is.
func (r *resolver) scalar(node *yaml.Node) any {
	switch node.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var value bool
		if err := node.Decode(&value); err == nil {
			return value
		}
	case "!!int", "!!float":
		if number := number(node); number != "" {
			return number
		}
	}

	return node.Value
}

// number writes a number as JSON does; "" if it has no such form.
func number(node *yaml.Node) json.Number {
	var signed int64
	if err := node.Decode(&signed); err == nil && node.ShortTag() == "!!int" {
		return json.Number(strconv.FormatInt(signed, 10))
	}
	var unsigned uint64
	if err := node.Decode(&unsigned); err == nil && node.ShortTag() == "!!int" {
		return json.Number(strconv.FormatUint(unsigned, 10))
	}
	var float float64
	if err := node.Decode(&float); err != nil || math.IsNaN(float) || math.IsInf(float, 0) {
		return ""
	}
	text, err := json.Marshal(float)
	if err != nil {
		return ""
	}

	return json.Number(text)
}
