package patch

import (
	"maps"
	"reflect"
	"slices"

	operations "gomodules.xyz/jsonpatch/v2"
)

// differ compares three trees: the document to patch, its typed form, and the
// typed form it shall have. Where the last two agree nothing happens, whatever
// else the document has there.
type differ struct {
	originals  Originals
	operations []operations.Operation
}

func (d *differ) emit(operation string, path pointer, value any) {
	d.operations = append(d.operations, operations.NewOperation(operation, path.String(), value))
}

func (d *differ) object(raw, before, after map[string]any, path pointer) error {
	for _, key := range keysOf(before, after) {
		if err := d.member(raw, before, after, key, path.child(key)); err != nil {
			return err
		}
	}
	return nil
}

// member compares one member of an object.
func (d *differ) member(raw, before, after map[string]any, key string, path pointer) error {
	rawValue, inRaw := raw[key]
	afterValue, inAfter := after[key]
	beforeValue := before[key]
	if reflect.DeepEqual(beforeValue, afterValue) {
		return nil
	}
	if !inAfter {
		if inRaw {
			d.emit("remove", path, nil)
		}
		return nil
	}
	if rule, keyed := keyedLists[path.String()]; keyed {
		return d.keyedList(listOf(rawValue), listOf(beforeValue), listOf(afterValue), path, rule)
	}
	return d.value(rawValue, beforeValue, afterValue, path)
}

// value compares values at a path that exists in the result. An "add" there
// replaces a member of an object.
func (d *differ) value(raw, before, after any, path pointer) error {
	rawMap, rawIsMap := raw.(map[string]any)
	beforeMap, _ := before.(map[string]any)
	afterMap, afterIsMap := after.(map[string]any)
	if rawIsMap && afterIsMap {
		return d.object(rawMap, beforeMap, afterMap, path)
	}
	rawList, rawIsList := raw.([]any)
	beforeList, _ := before.([]any)
	afterList, afterIsList := after.([]any)
	if rawIsList && afterIsList && len(rawList) == len(beforeList) && len(beforeList) <= len(afterList) && holdsObjects(rawList) {
		return d.list(rawList, beforeList, afterList, path)
	}
	d.emit("add", path, after)
	return nil
}

// list compares lists of objects of which the second is as long as the first
// or longer: elements are changed in place and appended.
func (d *differ) list(raw, before, after []any, path pointer) error {
	for i := range before {
		if reflect.DeepEqual(before[i], after[i]) {
			continue
		}
		rawElement, rawIsMap := raw[i].(map[string]any)
		beforeElement, _ := before[i].(map[string]any)
		afterElement, afterIsMap := after[i].(map[string]any)
		if !rawIsMap || !afterIsMap {
			d.emit("replace", path.index(i), after[i])
			continue
		}
		if err := d.object(rawElement, beforeElement, afterElement, path.index(i)); err != nil {
			return err
		}
	}
	for i := len(before); i < len(after); i++ {
		d.emit("add", path.index(i), after[i])
	}
	return nil
}

func holdsObjects(list []any) bool {
	for _, element := range list {
		if _, isObject := element.(map[string]any); !isObject {
			return false
		}
	}
	return len(list) > 0
}

func listOf(value any) []any {
	list, _ := value.([]any)
	return list
}

func keysOf(before, after map[string]any) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(keys)
	return slices.Compact(keys)
}
