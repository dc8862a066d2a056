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

// TestConfigurationExamples: the mutator takes what the pages show of its
// configuration, beside the keys that are required.
func TestConfigurationExamples(t *testing.T) {
	const required = "apiVersion: buildkite.com/v1alpha1\nkind: MutatorConfiguration\nagentImage: agent:3\nentrypointImage: entrypoint:1\n"
	_, policy, _ := strings.Cut(readFile(t, "../docs/security.md"), "## The policy")
	found := 0
	for _, page := range []string{readFile(t, "../docs/configuration.md"), policy} {
		for _, block := range yamlBlock.FindAllStringSubmatch(page, -1) {
			found++
			text := block[1]
			if !strings.HasPrefix(text, "apiVersion:") {
				text = required + text
			}
			if _, errs := ParseConfig([]byte(text)); len(errs) > 0 {
				t.Errorf("%v in\n%s", errs.ToAggregate(), text)
			}
		}
	}
	if found < 4 {
		t.Errorf("%d examples found", found)
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
