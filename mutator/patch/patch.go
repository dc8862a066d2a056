// Package patch makes the JSON patch of an admission review from the pod as it
// arrived and the pod as it shall be.
//
// The pod as it arrived may have fields that this program's Kubernetes library
// does not know. They stay, and stay on the element that they belong to:
// containers, volumes, variables and whatever else Kubernetes merges by a key
// are paired by it, a new one is inserted whole, and within each only what the
// typed forms differ in is touched.
package patch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	operations "gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"
	kjson "k8s.io/apimachinery/pkg/util/json"
)

// Originals are elements of spec.initContainers, by name, as they were written
// where they come from. A new element of such a name keeps the fields that the
// typed form does not have.
type Originals map[string]json.RawMessage

// Options is what Create may know beside the two pods. The zero value is fine.
type Options struct {
	// Before is the pod that the document decodes to, for callers who have it:
	// decoding it again takes longer than the rest. It is not changed.
	Before *corev1.Pod
	// Originals are those of new init containers.
	Originals Originals
	// Condense has many operations within the spec become one, which writes all of
	// it: the API server carries that out several times faster.
	Condense bool
}

// Create returns the operations that turn raw, a pod's JSON, into mutated,
// which came from decoding it. The mutation may add containers, volumes and
// fields and change fields; an error says that it removed or reordered
// containers or volumes, or that raw is no pod.
func Create(raw []byte, mutated *corev1.Pod) ([]operations.Operation, error) {
	return Options{}.Create(raw, mutated)
}

// Create is the function Create with options.
func (o Options) Create(raw []byte, mutated *corev1.Pod) ([]operations.Operation, error) {
	before := o.Before
	if before == nil {
		before = &corev1.Pod{}
		if err := kjson.Unmarshal(raw, before); err != nil {
			return nil, fmt.Errorf("decode pod: %w", err)
		}
	}
	tree, err := treeOf(raw)
	if err != nil {
		return nil, fmt.Errorf("decode pod: %w", err)
	}
	differ := differ{options: o}
	if err := differ.fields(tree, reflect.ValueOf(before).Elem(), reflect.ValueOf(mutated).Elem(), nil); err != nil {
		return nil, err
	}
	if o.Condense {
		return condense(tree, differ.operations)
	}
	return differ.operations, nil
}

// Encode returns the operations as a JSON patch. They would encode themselves to the
// same, and the encoder of their list would then read all of it once more.
func Encode(list []operations.Operation) ([]byte, error) {
	type place struct {
		Operation string `json:"op"`
		Path      string `json:"path"`
	}
	encoded := make([]any, len(list))
	for i, operation := range list {
		encoded[i] = place{operation.Operation, operation.Path}
		if operation.Operation != "remove" {
			encoded[i] = struct {
				place

				Value any `json:"value"`
			}{place{operation.Operation, operation.Path}, operation.Value}
		}
	}
	text, err := json.Marshal(encoded)
	if err != nil {
		return nil, fmt.Errorf("encode patch: %w", err)
	}
	return text, nil
}

// Apply carries out operations on a JSON document, as the API server does.
func Apply(raw []byte, list []operations.Operation) ([]byte, error) {
	if len(list) == 0 {
		return raw, nil
	}
	text, err := Encode(list)
	if err != nil {
		return nil, err
	}
	decoded, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return nil, fmt.Errorf("decode patch: %w", err)
	}
	result, err := decoded.Apply(raw)
	if err != nil {
		return nil, fmt.Errorf("apply patch: %w", err)
	}
	return result, nil
}

// treeOf reads a pod. Numbers are of the types that the API server has them in;
// those that it could not have stay as they are written.
func treeOf(raw []byte) (map[string]any, error) {
	var tree map[string]any
	if err := kjson.Unmarshal(raw, &tree); err != nil || tree == nil {
		return decode(raw)
	}
	return tree, nil
}

// decode reads JSON and keeps numbers as they are written.
func decode(text []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	if tree == nil {
		return nil, fmt.Errorf("want an object")
	}
	return tree, nil
}

// pointer is a JSON pointer's tokens.
type pointer []string

func (p pointer) child(token string) pointer {
	return append(slices.Clip(p), token)
}

func (p pointer) index(i int) pointer {
	return p.child(strconv.Itoa(i))
}

var escaper = strings.NewReplacer("~", "~0", "/", "~1")

func (p pointer) String() string {
	var text strings.Builder
	for _, token := range p {
		text.WriteByte('/')
		text.WriteString(escaper.Replace(token))
	}
	return text.String()
}
