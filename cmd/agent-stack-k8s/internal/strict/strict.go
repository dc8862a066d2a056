// Package strict holds a document against a Go type, field by field, and reports
// everything that the API server would refuse to decode.
package strict

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
)

// Problem is something wrong with a field.
type Problem struct {
	document.Problem

	// Path is the field's, relative to what was checked: containers[0].image.
	Path string
	// Type says that a value cannot be decoded at all, rather than that a field
	// is not known.
	Type bool
	// Quantity says that text is possible here, though not this one.
	Quantity bool
}

// Check reports what is wrong with a node that is to be decoded into T.
func Check[T any](node *document.Node) []Problem {
	checker := checker{}
	checker.check(node, reflect.TypeFor[T](), "")

	return checker.problems
}

// fewFields are so few that a message names them all.
const fewFields = 15

type checker struct {
	problems []Problem
}

func (c *checker) reportf(node *document.Node, path, format string, arguments ...any) {
	c.problems = append(c.problems, Problem{
		Problem: document.Problem{Position: node.Position, Text: fmt.Sprintf(format, arguments...)},
		Path:    path,
		Type:    true,
	})
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (c *checker) check(node *document.Node, target reflect.Type, path string) {
	if node.IsNull() {
		return
	}
	pointer := reflect.PointerTo(target)
	switch kind := target.Kind(); {
	case pointer.Implements(jsonUnmarshaler) || pointer.Implements(textUnmarshaler):
		c.leaf(node, target, path)
	case kind == reflect.Pointer:
		c.check(node, target.Elem(), path)
	case kind == reflect.Struct:
		c.structure(node, target, path)
	case kind == reflect.Slice && target.Elem().Kind() != reflect.Uint8:
		c.list(node, target, path)
	case kind == reflect.Map:
		c.mapping(node, target, path)
	default:
		c.leaf(node, target, path)
	}
}

func (c *checker) structure(node *document.Node, target reflect.Type, path string) {
	if node.Kind != document.Object {
		c.reportf(node, path, "want an object, found %s", node.What())

		return
	}
	fields := fieldsOf(target)
	for _, entry := range node.Entries {
		here := join(path, entry.Key)
		if known, exists := fields[entry.Key]; exists {
			c.check(entry.Value, known, here)

			continue
		}
		var names []string
		for name := range fields {
			names = append(names, name)
		}
		text := "unknown field; remove it"
		if near := Nearest(entry.Key, names); near != "" {
			text = fmt.Sprintf("unknown field; did you mean %q?", near)
		} else if len(names) <= fewFields {
			text = "unknown field; the fields here are " + strings.Join(names, ", ")
		}
		c.problems = append(c.problems, Problem{Problem: document.Problem{Position: entry.Position, Text: text}, Path: here})
	}
}

func (c *checker) list(node *document.Node, target reflect.Type, path string) {
	if node.Kind != document.List {
		c.reportf(node, path, "want a list, found %s", node.What())

		return
	}
	for i, item := range node.Items {
		c.check(item, target.Elem(), path+"["+strconv.Itoa(i)+"]")
	}
}

func (c *checker) mapping(node *document.Node, target reflect.Type, path string) {
	if node.Kind != document.Object {
		c.reportf(node, path, "want an object, found %s", node.What())

		return
	}
	for _, entry := range node.Entries {
		c.check(entry.Value, target.Elem(), path+"["+entry.Key+"]")
	}
}

// leaf decodes a value as the API server would.
func (c *checker) leaf(node *document.Node, target reflect.Type, path string) {
	err := json.Unmarshal(node.JSON(), reflect.New(target).Interface())
	if err == nil {
		return
	}
	var want string
	switch target.Kind() {
	case reflect.String:
		want = "a string"
	case reflect.Bool:
		want = "true or false"
	case reflect.Int, reflect.Int32, reflect.Int64:
		want = "a whole number"
	default:
		if target == reflect.TypeFor[resource.Quantity]() {
			c.reportf(node, path, "want a quantity such as 500m or 2Gi")
			c.problems[len(c.problems)-1].Quantity = node.Kind == document.Scalar

			return
		}
		c.reportf(node, path, "not a valid %s: %v", strings.ToLower(target.Name()), err)

		return
	}
	found := node.What()
	advice := ""
	_, isText := node.Scalar.(string)
	switch {
	case node.Kind == document.Scalar && target.Kind() == reflect.String:
		advice = "; put it in quotes"
	case isText && target.Kind() != reflect.String:
		advice = "; remove the quotes"
		if strings.ContainsAny(node.Text(), "${") {
			advice = ""
		}
	}
	c.reportf(node, path, "want %s, found %s%s", want, found, advice)
}

// fieldsOf returns a struct's fields by their JSON names; those of embedded
// structs count as its own.
func fieldsOf(structure reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for definition := range structure.Fields() {
		name, options, _ := strings.Cut(definition.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case definition.Anonymous && (name == "" || strings.Contains(options, "inline")):
			maps.Copy(fields, fieldsOf(definition.Type))
		case name != "" && definition.IsExported():
			fields[name] = definition.Type
		}
	}

	return fields
}

func join(path, key string) string {
	if path == "" {
		return key
	}

	return path + "." + key
}

// Nearest returns the candidate that a mistyped word most likely means, or "".
// Upper and lower case count for nothing.
func Nearest(word string, candidates []string) string {
	best, bestDistance := "", min(3, len(word)/2+1)
	slices.Sort(candidates)
	for _, candidate := range candidates {
		if len(candidate) > len(word)+3 || len(word) > len(candidate)+3 {
			continue
		}
		distance := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(candidate))
		if distance < bestDistance {
			best, bestDistance = candidate, distance
		}
	}

	return best
}
