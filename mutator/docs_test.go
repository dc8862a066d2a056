package mutator

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPluginReference: every field of the plugin has a row, every row is a field,
// and the fixtures that it names have the field.
func TestPluginReference(t *testing.T) {
	rows := regexp.MustCompile("(?m)^\\| `([a-zA-Z.]+)` \\|.*\\|([^|]*)\\|$").FindAllStringSubmatch(readFile(t, "../docs/plugin-reference.md"), -1)
	known := pluginFields(reflect.TypeFor[plugin](), "")
	// The dispatcher reads these.
	known = append(known, "podSpec", "podTemplate", "metadata")
	var documented []string
	for _, row := range rows {
		documented = append(documented, row[1])
		if !slices.Contains(known, row[1]) {
			t.Errorf("%s is documented and no field", row[1])
		}
		names := strings.Split(row[1], ".")
		fixtures := regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(row[2], -1)
		if len(fixtures) == 0 && row[1] != "podTemplate" && row[1] != "metadata" {
			t.Errorf("%s has no fixture", row[1])
		}
		for _, fixture := range fixtures {
			key := names[len(names)-1]
			if row[1] != "podSpec" && !regexp.MustCompile(`\b`+key+`"?:`).MatchString(readFile(t, "testdata/"+fixture[1]+".in.yaml")) {
				t.Errorf("%s.in.yaml does not have %s", fixture[1], row[1])
			}
		}
	}
	for _, field := range known {
		if !slices.Contains(documented, field) {
			t.Errorf("%s is not documented", field)
		}
	}
}

// TestConfigurationReference: every key of the configuration is named.
func TestConfigurationReference(t *testing.T) {
	text := readFile(t, "../docs/configuration.md")
	for _, key := range slices.Sorted(maps.Keys(fieldsOf(reflect.New(reflect.TypeFor[Config]()).Elem()))) {
		if !strings.Contains(text, "`"+key+"`") && !strings.Contains(text, "`"+key+".") && !strings.Contains(text, "\n"+key+": ") {
			t.Errorf("docs/configuration.md does not name %s", key)
		}
	}
}

// pluginFields lists fields, those of our own structs by dots.
func pluginFields(structure reflect.Type, prefix string) []string {
	var names []string
	for name, value := range fieldsOf(reflect.New(structure).Elem()) {
		inner := value.Type()
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && keepsDefaults(inner) {
			names = append(names, pluginFields(inner, prefix+name+".")...)
			continue
		}
		names = append(names, prefix+name)
	}
	slices.Sort(names)
	return names
}
