package mutator

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// TestEveryDefaultParameterMerges fills every field of the parameters that a
// platform can give defaults of: a plugin that is silent gets it, one that sets
// the field keeps its own, and the configuration is never changed by a plugin.
func TestEveryDefaultParameterMerges(t *testing.T) {
	for section, params := range map[string]reflect.Type{
		"checkout":      reflect.TypeFor[CheckoutParams](),
		"commandParams": reflect.TypeFor[CommandParams](),
		"sidecarParams": reflect.TypeFor[ContainerParams](),
	} {
		for _, fieldPath := range leaves(reflect.New(params).Elem(), "") {
			t.Run(section+"."+fieldPath, func(t *testing.T) {
				platform, own := parameters(params, fieldPath, false), parameters(params, fieldPath, true)
				config := Config{}
				target := map[string]any{
					"checkout": &config.DefaultCheckoutParams, "commandParams": &config.DefaultCommandParams, "sidecarParams": &config.DefaultSidecarParams,
				}[section]
				if err := json.Unmarshal([]byte(platform), target); err != nil {
					t.Fatal(err)
				}
				before := string(jsonText(t, config.DefaultCheckoutParams)) + string(jsonText(t, config.DefaultCommandParams))
				silent := readSection(t, config, section, "{}")
				want := lookup(t, platform, fieldPath)
				if isList := fieldPath == "envFrom" || fieldPath == "extraVolumeMounts"; isList {
					// These add up where they are used; see the golden params-default.
					want = "null"
				}
				if got := lookup(t, silent, fieldPath); got != want {
					t.Errorf("default %s gives a silent plugin %s, want %s", platform, got, want)
				}
				if got, want := lookup(t, readSection(t, config, section, own), fieldPath), lookup(t, own, fieldPath); got != want {
					t.Errorf("default %s with the plugin's %s gives %s, want %s", platform, own, got, want)
				}
				after := string(jsonText(t, config.DefaultCheckoutParams)) + string(jsonText(t, config.DefaultCommandParams))
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("the plugin changed the configuration:\n%s", diff)
				}
			})
		}
	}
}

// TestDefaultObjectsMergeByField: one field of gitMirrors does not undo the rest.
func TestDefaultObjectsMergeByField(t *testing.T) {
	config := parsedConfig(t, "defaultCheckoutParams: {gitMirrors: {path: /mirrors, volume: {hostPath: {path: /m}}}}\n")
	section := readSection(t, config, "checkout", `{"gitMirrors":{"skipUpdate":true,"volume":{"emptyDir":{}}}}`)
	want := `{"path":"/mirrors","skipUpdate":true,"volume":{"emptyDir":{},"name":""}}`
	if got := lookup(t, section, "gitMirrors"); got != want {
		t.Errorf("gitMirrors = %s, want %s", got, want)
	}
}

// leaves lists the fields of parameters, those of our own structs by dots.
func leaves(params reflect.Value, prefix string) []string {
	var paths []string
	for name, value := range fieldsOf(params) {
		structure := value.Type()
		if structure.Kind() == reflect.Pointer {
			structure = structure.Elem()
		}
		if structure.Kind() == reflect.Struct && keepsDefaults(structure) {
			paths = append(paths, leaves(reflect.New(structure).Elem(), prefix+name+".")...)
			continue
		}
		paths = append(paths, prefix+name)
	}
	return paths
}

// parameters is JSON in which one field is set, to one of two values.
func parameters(params reflect.Type, fieldPath string, second bool) string {
	names := strings.Split(fieldPath, ".")
	for _, name := range names {
		if params.Kind() == reflect.Pointer {
			params = params.Elem()
		}
		params = fieldsOf(reflect.New(params).Elem())[name].Type()
	}
	if params.Kind() == reflect.Pointer {
		params = params.Elem()
	}
	pick := func(first, other string) string {
		if second {
			return other
		}
		return first
	}
	var value string
	switch {
	case params == reflect.TypeFor[Interposer]():
		value = pick(`"vector"`, `"legacy"`)
	case params.Kind() == reflect.Bool:
		value = pick("true", "false")
	case params.Kind() == reflect.String:
		value = pick(`"a"`, `"b"`)
	case params.Kind() == reflect.Int64:
		value = pick("1", "2")
	case params.Kind() == reflect.Slice && params.Elem().Kind() == reflect.String:
		value = pick(`["a=b"]`, `["c=d","e=f"]`)
	case params == reflect.TypeFor[[]corev1.VolumeMount]():
		value = pick(`[{"name":"a","mountPath":"/a"}]`, `[{"name":"b","mountPath":"/b"}]`)
	case params == reflect.TypeFor[[]corev1.EnvFromSource]():
		value = pick(`[{"prefix":"a"}]`, `[{"prefix":"b"}]`)
	case strings.Contains(params.String(), "Secret"):
		value = pick(`{"secretName":"a","optional":true}`, `{"secretName":"b"}`)
	case strings.HasSuffix(params.String(), "v1.Volume"):
		value = pick(`{"name":"a","emptyDir":{}}`, `{"name":"b","hostPath":{"path":"/b"}}`)
	default:
		panic("give an example of " + params.String())
	}
	return `{"` + strings.Join(names, `":{"`) + `":` + value + strings.Repeat("}", len(names))
}

// readSection returns a section of the plugin as it is read.
func readSection(t *testing.T, config Config, section, text string) string {
	t.Helper()
	read, _, errs := parsePlugin(`{"`+section+`":`+text+`}`, config.pluginDefaults(), UnknownError)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(jsonText(t, read), &all); err != nil {
		t.Fatal(err)
	}
	return string(all[section])
}

// lookup returns the JSON at a path of a JSON text.
func lookup(t *testing.T, text, fieldPath string) string {
	t.Helper()
	raw := json.RawMessage(text)
	for name := range strings.SplitSeq(fieldPath, ".") {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			t.Fatalf("%s at %s: %v", text, fieldPath, err)
		}
		raw = object[name]
	}
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatalf("%s at %s: %v", text, fieldPath, err)
	}
	return string(jsonText(t, value))
}

// TestCheckoutKeysOfDefaults: keys of checkout's own variables stay in checkout,
// also where the platform gives them.
func TestCheckoutKeysOfDefaults(t *testing.T) {
	for _, more := range []string{
		"defaultCheckoutParams: {envFrom: [{secretRef: {name: git}}]}\n",
		"podSpecPatch: {containers: [{name: checkout, envFrom: [{secretRef: {name: git}}]}]}\n",
	} {
		pod, _ := injected(t, parsedConfig(t, more), mergePod("", nil))
		receipt, err := ParseReceipt(pod.Annotations[contract.InjectedAnnotation])
		if err != nil {
			t.Fatal(err)
		}
		if got := receipt.Plan.Checkout.SSHDirectory; got != contract.PrivateSSHPath {
			t.Errorf("with %s the keys are in %q, want %q", more, got, contract.PrivateSSHPath)
		}
	}
}
