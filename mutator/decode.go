package mutator

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/mutator/depth"
)

// unknownField is a key that the target of a decode does not have.
type unknownField struct {
	path *field.Path
	// nearest is the valid key that was probably meant; empty if none is near.
	nearest string
	// valid are all keys that are possible here.
	valid []string
}

// decodeYAML decodes YAML or JSON into target, a pointer to a struct, and
// reports everything that is wrong with it: unknown keys apart, because callers
// differ in what they make of them. A key's case counts.
func decodeYAML(text []byte, target any, path *field.Path) ([]unknownField, field.ErrorList) {
	raw, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, field.ErrorList{invalid(path, "not valid YAML or JSON: %s", oneLine(err))}
	}
	if depth.Of(raw) > depth.Max {
		return nil, field.ErrorList{invalid(path, "nested more than %d levels deep", depth.Max)}
	}
	decoder := decoder{}
	decoder.decode(raw, reflect.ValueOf(target).Elem(), path)
	return decoder.unknown, decoder.errs
}

// decoder walks a document along a Go type. The standard decoders stop at the
// first error, and people want to see all of them at once.
type decoder struct {
	unknown []unknownField
	errs    field.ErrorList
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (d *decoder) decode(raw json.RawMessage, target reflect.Value, path *field.Path) {
	if isNull(raw) {
		return
	}
	pointer := target.Addr().Type()
	custom := pointer.Implements(jsonUnmarshaler) || pointer.Implements(textUnmarshaler)
	switch {
	case custom:
		d.decodeLeaf(raw, target, path)
	case target.Kind() == reflect.Pointer:
		if target.IsNil() || !keepsDefaults(target.Type().Elem()) {
			target.Set(reflect.New(target.Type().Elem()))
		}
		d.decode(raw, target.Elem(), path)
	case target.Kind() == reflect.Struct:
		d.decodeStruct(raw, target, path)
	case target.Kind() == reflect.Slice && target.Type().Elem().Kind() != reflect.Uint8:
		d.decodeSlice(raw, target, path)
	case target.Kind() == reflect.Map && target.Type().Key().Kind() == reflect.String:
		d.decodeMap(raw, target, path)
	default:
		d.decodeLeaf(raw, target, path)
	}
}

// keepsDefaults reports whether a document's object adds to a default instead of
// replacing it: so it is with our own types, where each field is a setting.
func keepsDefaults(target reflect.Type) bool {
	return target.PkgPath() == reflect.TypeFor[Config]().PkgPath() && !reflect.PointerTo(target).Implements(jsonUnmarshaler)
}

func (d *decoder) decodeStruct(raw json.RawMessage, target reflect.Value, path *field.Path) {
	var values map[string]json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		d.errs = append(d.errs, invalid(path, "want an object, found %s", kindOf(raw)))
		return
	}
	fields := fieldsOf(target)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if known, exists := fields[key]; exists {
			d.decode(values[key], known, path.Child(key))
			continue
		}
		valid := slices.Sorted(maps.Keys(fields))
		d.unknown = append(d.unknown, unknownField{path: path.Child(key), nearest: nearest(key, valid), valid: valid})
	}
}

func (d *decoder) decodeSlice(raw json.RawMessage, target reflect.Value, path *field.Path) {
	var values []json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		d.errs = append(d.errs, invalid(path, "want a list, found %s", kindOf(raw)))
		return
	}
	target.Set(reflect.MakeSlice(target.Type(), len(values), len(values)))
	for i, value := range values {
		d.decode(value, target.Index(i), path.Index(i))
	}
}

func (d *decoder) decodeMap(raw json.RawMessage, target reflect.Value, path *field.Path) {
	var values map[string]json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		d.errs = append(d.errs, invalid(path, "want an object, found %s", kindOf(raw)))
		return
	}
	target.Set(reflect.MakeMap(target.Type()))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		element := reflect.New(target.Type().Elem()).Elem()
		d.decode(values[key], element, path.Key(key))
		target.SetMapIndex(reflect.ValueOf(key).Convert(target.Type().Key()), element)
	}
}

func (d *decoder) decodeLeaf(raw json.RawMessage, target reflect.Value, path *field.Path) {
	err := kjson.Unmarshal(raw, target.Addr().Interface())
	if err == nil {
		return
	}
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		d.errs = append(d.errs, invalid(path, "want %s, found %s", wordFor(target.Type()), kindOf(raw)))
		return
	}
	d.errs = append(d.errs, invalid(path, "%s", oneLine(err)))
}

// fieldsOf returns a struct's fields by their JSON names; those of embedded
// structs without a name of their own count as its own.
func fieldsOf(structure reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range structure.NumField() {
		definition := structure.Type().Field(i)
		name, options, _ := strings.Cut(definition.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case definition.Anonymous && (name == "" || strings.Contains(options, "inline")):
			maps.Copy(fields, fieldsOf(structure.Field(i)))
		case name != "" && definition.IsExported():
			fields[name] = structure.Field(i)
		}
	}
	return fields
}

// unknownErrors makes errors of unknown keys.
func unknownErrors(unknown []unknownField) field.ErrorList {
	var errs field.ErrorList
	for _, one := range unknown {
		errs = append(errs, field.Forbidden(one.path, one.sentence()))
	}
	return errs
}

// sentence says what is wrong with the key and what to do.
func (u unknownField) sentence() string {
	if u.nearest != "" {
		return fmt.Sprintf("unknown field; did you mean %q?", u.nearest)
	}
	if len(u.valid) > 15 {
		return "unknown field; remove it"
	}
	return "unknown field; the fields here are " + strings.Join(u.valid, ", ")
}

// invalid is field.Invalid without the value, which may be long or secret.
func invalid(path *field.Path, format string, arguments ...any) *field.Error {
	if path == nil {
		path = field.NewPath("document")
	}
	return field.Invalid(path, field.OmitValueType{}, fmt.Sprintf(format, arguments...))
}

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || string(raw) == "null"
}

func kindOf(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	default:
		return "a number"
	}
}

func wordFor(target reflect.Type) string {
	switch target.Kind() {
	case reflect.String:
		return "a string (put it in quotes)"
	case reflect.Bool:
		return "true or false"
	case reflect.Map:
		return "an object"
	default:
		return "a whole number"
	}
}

// oneLine returns an error's sentence, which may have lines, as one.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
