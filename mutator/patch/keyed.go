package patch

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// listRule is how a list whose elements have names may change.
type listRule struct {
	// unnamedPrefix names elements without a name by their index; empty if
	// every element must have one.
	unnamedPrefix string
	// mayRemove permits that elements go.
	mayRemove bool
	// keepOriginals takes new elements from the originals.
	keepOriginals bool
}

var keyedLists = map[string]listRule{
	"/spec/containers":      {unnamedPrefix: contract.JobContainerNamePrefix},
	"/spec/initContainers":  {keepOriginals: true},
	"/spec/volumes":         {},
	"/spec/schedulingGates": {mayRemove: true},
}

// keyedList compares lists by the names of their elements. An inserted element
// shifts those behind it, whole, with all fields that they have.
func (d *differ) keyedList(raw, before, after []any, path pointer, rule listRule) error {
	if raw == nil {
		d.emit("add", path, d.newElements(after, rule))
		return nil
	}
	names, err := namesOf(before, path, rule.unnamedPrefix)
	if err != nil {
		return err
	}
	afterNames, err := namesOf(after, path, "")
	if err != nil {
		return err
	}
	raw, before, names, err = d.removeElements(raw, before, names, afterNames, path, rule)
	if err != nil {
		return err
	}
	next := 0
	for i, name := range afterNames {
		if next == len(names) || name != names[next] {
			if slices.Contains(names, name) {
				return fmt.Errorf("patch %s: %q was moved", path, name)
			}
			d.emit("add", path.index(i), d.newElement(after[i], name, rule))
			continue
		}
		if err := d.value(raw[next], before[next], after[i], path.index(i)); err != nil {
			return err
		}
		next++
	}
	return nil
}

// removeElements removes elements that the result does not have, from the end,
// so that the indexes of the others hold.
func (d *differ) removeElements(raw, before []any, names, afterNames []string, path pointer, rule listRule) ([]any, []any, []string, error) {
	if len(raw) != len(before) {
		return nil, nil, nil, fmt.Errorf("patch %s: %d elements decode to %d", path, len(raw), len(before))
	}
	if len(raw) > 0 && !holdsObjects(raw) {
		return nil, nil, nil, fmt.Errorf("patch %s: an element is not an object", path)
	}
	raw, before, names = slices.Clone(raw), slices.Clone(before), slices.Clone(names)
	for i, name := range slices.Backward(names) {
		if slices.Contains(afterNames, name) {
			continue
		}
		if !rule.mayRemove {
			return nil, nil, nil, fmt.Errorf("patch %s: %q was removed", path, name)
		}
		d.emit("remove", path.index(i), nil)
		raw, before, names = slices.Delete(raw, i, i+1), slices.Delete(before, i, i+1), slices.Delete(names, i, i+1)
	}
	return raw, before, names, nil
}

func (d *differ) newElements(after []any, rule listRule) []any {
	elements := make([]any, len(after))
	for i, element := range after {
		object, _ := element.(map[string]any)
		name, _ := object["name"].(string)
		elements[i] = d.newElement(element, name, rule)
	}
	return elements
}

// newElement returns the element with what its original has beyond it.
func (d *differ) newElement(element any, name string, rule listRule) any {
	original, exists := d.originals[name]
	if !exists || !rule.keepOriginals {
		return element
	}
	tree, err := decode(original)
	if err != nil {
		return element
	}
	return overlay(tree, element)
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

// namesOf returns the names of a list's elements, which must differ.
func namesOf(list []any, path pointer, unnamedPrefix string) ([]string, error) {
	names := make([]string, len(list))
	seen := make(map[string]bool, len(list))
	for i, element := range list {
		object, _ := element.(map[string]any)
		name, _ := object["name"].(string)
		if name == "" && unnamedPrefix != "" {
			name = unnamedPrefix + strconv.Itoa(i)
		}
		if name == "" {
			return nil, fmt.Errorf("patch %s: an element has no name", path.index(i))
		}
		if seen[name] {
			return nil, fmt.Errorf("patch %s: two elements are named %q", path, name)
		}
		seen[name] = true
		names[i] = name
	}
	return names, nil
}
