package mutator

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

const (
	chartSchema  = "../charts/agent-stack-k8s/values.schema.json"
	chartOptions = "../charts/agent-stack-k8s/files/dispatcher-options.txt"
	// chartMigration has the existing stack's names, which are in the schema, too.
	chartMigration = "../charts/agent-stack-k8s/files/migration.yaml"
)

// chartsOwn are keys that the chart sets itself.
var chartsOwn = []string{"apiVersion", "kind"}

// TestChartKnowsTheConfiguration holds the chart's schema against the
// configuration's keys; -update rewrites it. A key is the dispatcher's or the
// mutator's, and never both: the chart tells them apart by their names.
func TestChartKnowsTheConfiguration(t *testing.T) {
	data, err := os.ReadFile(chartSchema)
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(chartOptions)
	if err != nil {
		t.Fatal(err)
	}
	dispatchers := strings.Fields(string(list))
	var schema map[string]any
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	have := schema["properties"].(map[string]any)["config"].(map[string]any)["properties"].(map[string]any)
	for name := range have {
		if !slices.Contains(dispatchers, name) && !isFormer(t, name) {
			delete(have, name)
		}
	}
	for name, property := range typeSchema(reflect.TypeFor[Config]())["properties"].(map[string]any) {
		switch {
		case slices.Contains(dispatchers, name):
			t.Errorf("%s is a key of the dispatcher's, too", name)
		case slices.Contains(chartsOwn, name):
		case name == "delivery":
			have[name] = map[string]any{"enum": []string{"auto", DeliveryInitContainer, DeliveryImageVolume}}
		default:
			have[name] = property
		}
	}
	want, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(chartSchema, want, 0o600); err != nil {
			t.Fatal(err)
		}

		return
	}
	if !bytes.Equal(want, data) {
		t.Errorf("go test ./mutator -update rewrites %s (-want +got):\n%s", chartSchema, cmp.Diff(string(want), string(data)))
	}
}

// isFormer reports whether a key of config is one of the existing stack's.
func isFormer(t *testing.T, name string) bool {
	t.Helper()
	data, err := os.ReadFile(chartMigration)
	if err != nil {
		t.Fatal(err)
	}
	var names struct {
		Taken, Refused, Ignored map[string]string
		Accepted                []string
	}
	if err := yaml.Unmarshal(data, &names); err != nil {
		t.Fatal(err)
	}
	for _, list := range []map[string]string{names.Taken, names.Refused, names.Ignored} {
		for former := range list {
			if key, _, _ := strings.Cut(former, "."); key == name {
				return true
			}
		}
	}
	return slices.Contains(names.Accepted, name)
}

// typeSchema says in JSON Schema what a key of this type may have: all of it for
// our own types, their kind for those of Kubernetes and for those that read
// themselves, whose mistakes the mutator itself reports.
func typeSchema(kind reflect.Type) map[string]any {
	if kind.Kind() == reflect.Pointer {
		return typeSchema(kind.Elem())
	}
	unmarshaler := reflect.TypeFor[json.Unmarshaler]()
	switch {
	case kind == reflect.TypeFor[json.RawMessage]():
		return map[string]any{"type": "object"}
	case kind == reflect.TypeFor[resource.Quantity](), reflect.PointerTo(kind).Implements(unmarshaler):
		return map[string]any{}
	}
	switch kind.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": []string{"boolean", "null"}}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return map[string]any{"type": []string{"integer", "null"}}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": typeSchema(kind.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": typeSchema(kind.Elem())}
	case reflect.Struct:
		if !strings.HasPrefix(kind.PkgPath(), reflect.TypeFor[Config]().PkgPath()) {
			return map[string]any{"type": "object"}
		}

		return map[string]any{"type": "object", "additionalProperties": false, "properties": fieldSchemas(kind)}
	default:
		panic("no schema for " + kind.String())
	}
}

func fieldSchemas(kind reflect.Type) map[string]any {
	properties := map[string]any{}
	for field := range kind.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			maps.Copy(properties, typeSchema(field.Type)["properties"].(map[string]any))
		case name != "" && name != "-":
			properties[name] = typeSchema(field.Type)
		}
	}

	return properties
}
