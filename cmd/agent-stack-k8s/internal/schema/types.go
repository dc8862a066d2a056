package schema

import (
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/podrules"
)

// typed makes definitions of Go types, each once.
type typed struct {
	definitions object
	// patch says that the types are parts of a patch, which may leave out anything,
	// and that their descriptions are in the definitions without "Patch".
	patch bool
}

// patterns of values. Those with "variable" stand for text that is something else
// once it is filled in.
const (
	variable = `\$[A-Za-z_{]|\{\{`
	quantity = `^\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?\s*$`
)

// special are types with a JSON form of their own.
var special = map[reflect.Type]object{
	reflect.TypeFor[resource.Quantity]():  {"anyOf": []any{object{"type": "number"}, object{"type": "string", "pattern": quantity}, object{"type": "string", "pattern": variable}}},
	reflect.TypeFor[intstr.IntOrString](): {"anyOf": []any{object{"type": "integer", "minimum": math.MinInt32, "maximum": math.MaxInt32}, object{"type": "string"}}},
	reflect.TypeFor[metav1.Time]():        {"type": "string", "format": "date-time"},
	reflect.TypeFor[metav1.MicroTime]():   {"type": "string", "format": "date-time"},
	reflect.TypeFor[metav1.FieldsV1]():    {"type": "object"},
	reflect.TypeFor[json.RawMessage]():    {},
}

// of returns the schema of a type, without null.
func (t *typed) of(target reflect.Type) object {
	if schema, is := special[target]; is {
		return schema
	}
	switch target.Kind() {
	case reflect.Pointer:
		return t.of(target.Elem())
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int32:
		return object{"type": "integer", "minimum": math.MinInt32, "maximum": math.MaxInt32}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.String:
		return texts(target)
	case reflect.Slice:
		if target.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string"}
		}

		return object{"type": "array", "items": nullable(t.of(target.Elem()))}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": nullable(t.of(target.Elem()))}
	case reflect.Struct:
		return t.structure(target)
	default:
		panic("no JSON Schema for " + target.String())
	}
}

// texts is the schema of a type of strings.
func texts(target reflect.Type) object {
	values := podrules.Values(target)
	if len(values) == 0 {
		return object{"type": "string"}
	}

	return object{"anyOf": []any{object{"enum": values}, object{"type": "string", "pattern": "^$|" + variable}}}
}

// structure adds a definition and refers to it.
func (t *typed) structure(target reflect.Type) object {
	name := target.Name()
	if t.patch {
		name += "Patch"
	}
	if _, exists := t.definitions[name]; exists {
		return reference(name)
	}
	// Types may be recursive.
	t.definitions[name] = object{}
	documents := documentation(target)
	definition := object{"type": "object", "additionalProperties": false, "properties": t.properties(target, documents)}
	if !t.patch {
		if required := podrules.Required(target); len(required) > 0 {
			definition["required"] = required
		}
		describe(definition, documents[""])
	}
	t.definitions[name] = definition

	return reference(name)
}

// properties are the schemas of a structure's fields; those of embedded ones are
// its own.
func (t *typed) properties(structure reflect.Type, documents map[string]string) object {
	properties := object{}
	for field := range structure.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || !field.IsExported():
		case field.Anonymous && (name == "" || strings.Contains(options, "inline")):
			maps.Copy(properties, t.properties(field.Type, documentation(field.Type)))
		case name != "":
			schema := nullable(t.of(field.Type))
			if !t.patch {
				describe(schema, documents[name])
			}
			properties[name] = schema
		}
	}

	return properties
}

func describe(schema object, text string) {
	if text != "" {
		schema["description"] = text
	}
}

// documentation is what Kubernetes says of a type's fields; of the type itself
// under "".
func documentation(target reflect.Type) map[string]string {
	documented, is := reflect.TypeAssert[interface{ SwaggerDoc() map[string]string }](reflect.Zero(target))
	if !is {
		return nil
	}

	return documented.SwaggerDoc()
}
