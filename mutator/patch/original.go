package patch

import (
	"encoding/json"
	"reflect"
)

// originalsPath is the list that Originals are about.
const originalsPath = "/spec/initContainers"

// whole returns a value that the document has nothing of.
func (d *differ) whole(value reflect.Value, path pointer) any {
	if len(d.options.Originals) == 0 || path.String() != originalsPath {
		return value.Interface()
	}
	elements := make([]any, value.Len())
	for i := range elements {
		elements[i] = d.newElement(value.Index(i), value.Index(i).FieldByName("Name").String(), path)
	}
	return elements
}

// newElement returns the element with what its original has beyond it.
func (d *differ) newElement(element reflect.Value, name string, path pointer) any {
	original, exists := d.options.Originals[name]
	if !exists || path.String() != originalsPath {
		return element.Interface()
	}
	text, err := json.Marshal(element.Addr().Interface())
	if err != nil {
		return element.Interface()
	}
	tree, err := decode(text)
	if err != nil {
		return element.Interface()
	}
	originalTree, err := decode(original)
	if err != nil {
		return element.Interface()
	}
	return overlay(originalTree, tree)
}

// overlay adds to a tree the members that only its original has. Elements of a
// list are paired by index: what the mutation adds stands behind them.
func overlay(original, tree any) any {
	switch tree := tree.(type) {
	case map[string]any:
		originalMap, isMap := original.(map[string]any)
		if !isMap {
			return tree
		}
		for key, value := range originalMap {
			if _, exists := tree[key]; exists {
				tree[key] = overlay(value, tree[key])
			} else if value != nil {
				tree[key] = value
			}
		}
		return tree
	case []any:
		originalList, isList := original.([]any)
		if !isList || len(originalList) > len(tree) {
			return tree
		}
		for i := range originalList {
			tree[i] = overlay(originalList[i], tree[i])
		}
		return tree
	default:
		return tree
	}
}
