package patch

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// structField is a field of a Kubernetes type, as its tags describe it.
type structField struct {
	name  string
	index []int
	// omitEmpty and omitZero are encoding/json's options.
	omitEmpty, omitZero bool
	// mergeKey is the member by which Kubernetes pairs the elements of this
	// list when it merges; empty for other fields.
	mergeKey string
}

var fieldCache sync.Map // from reflect.Type to []structField

// fieldsOf returns the fields of a struct and those of the structs inlined in
// it, in the order of their definition.
func fieldsOf(structure reflect.Type) []structField {
	if cached, found := fieldCache.Load(structure); found {
		if fields, ok := cached.([]structField); ok {
			return fields
		}
	}
	var fields []structField
	for i := range structure.NumField() {
		definition := structure.Field(i)
		name, options, _ := strings.Cut(definition.Tag.Get("json"), ",")
		if definition.Anonymous && name == "" {
			for _, field := range fieldsOf(definition.Type) {
				field.index = append([]int{i}, field.index...)
				fields = append(fields, field)
			}
			continue
		}
		if name == "-" || !definition.IsExported() {
			continue
		}
		list := strings.Split(options, ",")
		fields = append(fields, structField{
			name:      name,
			index:     []int{i},
			omitEmpty: slices.Contains(list, "omitempty"),
			omitZero:  slices.Contains(list, "omitzero"),
			mergeKey:  definition.Tag.Get("patchMergeKey"),
		})
	}
	fieldCache.Store(structure, fields)
	return fields
}

// absent says whether encoding/json leaves the value out.
func (f structField) absent(value reflect.Value) bool {
	if f.omitZero && isZero(value) {
		return true
	}
	if !f.omitEmpty {
		return false
	}
	switch value.Kind() {
	case reflect.Struct:
		return false
	case reflect.Slice, reflect.Map, reflect.Array:
		return value.Len() == 0
	default:
		return value.IsZero()
	}
}

// isZero asks the type what its zero is, if it says so.
func isZero(value reflect.Value) bool {
	if zeroer, ok := reflect.TypeAssert[interface{ IsZero() bool }](value.Addr()); ok {
		return zeroer.IsZero()
	}
	return value.IsZero()
}
