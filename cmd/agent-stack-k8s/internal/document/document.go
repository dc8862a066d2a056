// Package document reads YAML and JSON files and keeps in mind where everything
// was written, so that messages can say so.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Position is a place in a file; line and column count from 1. The zero value is
// no place in particular.
type Position struct {
	Line, Column int
}

// Problem is something wrong at a place.
type Problem struct {
	Position

	Text string
}

// Kind tells nodes apart.
type Kind int

// Kinds of nodes.
const (
	Scalar Kind = iota
	Object
	List
)

// Node is a value in a document. Aliases and merge keys are resolved.
type Node struct {
	Position

	Kind    Kind
	Entries []Entry // of an object, in the order of the file
	Items   []*Node // of a list
	// Scalar is nil, a bool, a string, or a number as it was written, as
	// json.Number.
	Scalar any
}

// Entry is a key of an object and its value.
type Entry struct {
	Position // of the key

	Key   string
	Value *Node
}

// Limits that no honest file reaches. Aliases make a small file large.
const (
	maxBytes = 8 << 20
	maxNodes = 500_000
	maxDepth = 200
)

// Parse reads all documents of a file. Empty documents are left out. Nodes are
// returned only if there are no problems.
func Parse(data []byte) ([]*Node, []Problem) {
	if len(data) > maxBytes {
		return nil, []Problem{{Text: fmt.Sprintf("%d bytes is too large for a file that people write", len(data))}}
	}
	resolver := resolver{}
	var nodes []*Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, []Problem{syntaxProblem(err)}
		}
		node := resolver.resolve(&document, 0)
		if node.Kind != Scalar || node.Scalar != nil {
			nodes = append(nodes, node)
		}
	}
	if len(resolver.problems) > 0 {
		return nil, resolver.problems
	}

	return nodes, nil
}

var lineOfError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxProblem takes the line out of an error of the YAML library.
func syntaxProblem(err error) Problem {
	text, _, _ := strings.Cut(err.Error(), "\n")
	match := lineOfError.FindStringSubmatch(text)
	if match == nil {
		return Problem{Text: "not YAML: " + text}
	}
	problem := Problem{Text: "not YAML: " + match[2]}
	if strings.Contains(match[2], "tab character") {
		problem.Text += "; indent with spaces"
	}
	if line, err := strconv.Atoi(match[1]); err == nil {
		problem.Position = Position{Line: line, Column: 1}
	}

	return problem
}

// Get returns the value of a key of an object, or nil.
func (n *Node) Get(key string) *Node {
	if entry := n.Entry(key); entry != nil {
		return entry.Value
	}

	return nil
}

// Entry returns an entry of an object, or nil.
func (n *Node) Entry(key string) *Entry {
	if n == nil {
		return nil
	}
	for i := range n.Entries {
		if n.Entries[i].Key == key {
			return &n.Entries[i]
		}
	}

	return nil
}

// Text returns a scalar as text: "" for null and for what is no scalar.
func (n *Node) Text() string {
	if n == nil || n.Scalar == nil {
		return ""
	}

	return fmt.Sprint(n.Scalar)
}

// IsNull says whether there is no value: nothing at all, or null.
func (n *Node) IsNull() bool {
	return n == nil || n.Kind == Scalar && n.Scalar == nil
}

// Value returns the node as maps, slices and scalars.
func (n *Node) Value() any {
	switch {
	case n == nil:
		return nil
	case n.Kind == Object:
		object := make(map[string]any, len(n.Entries))
		for _, entry := range n.Entries {
			object[entry.Key] = entry.Value.Value()
		}

		return object
	case n.Kind == List:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = item.Value()
		}

		return list
	default:
		return n.Scalar
	}
}

// JSON returns the node as JSON.
func (n *Node) JSON() json.RawMessage {
	text, err := json.Marshal(n.Value())
	if err != nil {
		// Every value came from resolve, which makes nothing that JSON has not.
		panic("encode document: " + err.Error())
	}

	return text
}

// What names the node's kind, for messages.
func (n *Node) What() string {
	switch {
	case n.IsNull():
		return "nothing"
	case n.Kind == Object:
		return "an object"
	case n.Kind == List:
		return "a list"
	}
	switch n.Scalar.(type) {
	case bool:
		return "a boolean"
	case string:
		return "a string"
	default:
		return "a number"
	}
}
