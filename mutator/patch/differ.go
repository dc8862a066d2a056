package patch

import (
	"encoding/json"
	"reflect"
	"slices"

	operations "gomodules.xyz/jsonpatch/v2"
)

// differ compares the document to patch, its typed form, and the typed form it
// shall have. Where the typed forms agree nothing happens, whatever else the
// document has there.
type differ struct {
	options    Options
	operations []operations.Operation
}

func (d *differ) emit(operation string, path pointer, value any) {
	d.operations = append(d.operations, operations.NewOperation(operation, path.String(), value))
}

var marshaler = reflect.TypeFor[json.Marshaler]()

// fields compares two structs of one type, which must be addressable.
func (d *differ) fields(raw map[string]any, before, after reflect.Value, path pointer) error {
	for _, field := range fieldsOf(after.Type()) {
		was, is := before.FieldByIndex(field.index), after.FieldByIndex(field.index)
		if reflect.DeepEqual(was.Addr().Interface(), is.Addr().Interface()) {
			continue
		}
		rawValue, inRaw := raw[field.name]
		if field.absent(is) {
			// An empty list in the document is as good as none.
			if !inRaw || field.absent(was) {
				continue
			}
			if err := d.permit(path.child(field.name), "everything", "removed"); err != nil {
				return err
			}
			d.emit("remove", path.child(field.name), nil)
			continue
		}
		if err := d.value(rawValue, was, is, path.child(field.name), field.mergeKey); err != nil {
			return err
		}
	}
	return nil
}

// value compares values that differ, at a path that exists in the result. An
// "add" there replaces a member of an object.
func (d *differ) value(raw any, before, after reflect.Value, path pointer, mergeKey string) error {
	if after.Kind() == reflect.Pointer && !before.IsNil() && !after.IsNil() {
		before, after = before.Elem(), after.Elem()
	}
	switch document := raw.(type) {
	case map[string]any:
		if isObject(after.Type()) {
			return d.fields(document, before, after, path)
		}
		if after.Kind() == reflect.Map {
			return d.entries(document, before, after, path)
		}
	case []any:
		if after.Kind() == reflect.Slice && isObject(after.Type().Elem()) && len(document) == before.Len() {
			return d.list(document, before, after, path, mergeKey)
		}
	}
	d.emit("add", path, d.whole(after, path))
	return nil
}

// isObject tells structs that are objects in JSON from those that are written
// as text, such as quantities and times.
func isObject(kind reflect.Type) bool {
	return kind.Kind() == reflect.Struct && !kind.Implements(marshaler) && !reflect.PointerTo(kind).Implements(marshaler)
}

// entries compares two maps.
func (d *differ) entries(raw map[string]any, before, after reflect.Value, path pointer) error {
	for _, key := range keysOf(before, after) {
		was, is := before.MapIndex(key), after.MapIndex(key)
		entry := path.child(key.String())
		switch _, inRaw := raw[key.String()]; {
		case !is.IsValid() && inRaw:
			d.emit("remove", entry, nil)
		case !is.IsValid(), was.IsValid() && inRaw && reflect.DeepEqual(was.Interface(), is.Interface()):
		default:
			d.emit("add", entry, is.Interface())
		}
	}
	return nil
}

// keysOf returns the keys of both maps, sorted.
func keysOf(before, after reflect.Value) []reflect.Value {
	keys := before.MapKeys()
	for _, key := range after.MapKeys() {
		if !before.MapIndex(key).IsValid() {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		switch left, right := a.String(), b.String(); {
		case left < right:
			return -1
		case left > right:
			return 1
		default:
			return 0
		}
	})
	return keys
}
