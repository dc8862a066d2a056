package chart

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/dispatcher/migration"
	"github.com/buildkite/agent-stack-k8s/mutator"
)

// notInTheChart are keys that the chart sets itself: no ConfigMap has a token.
var notInTheChart = []string{"config", "buildkite-token"}

// installation is what was rendered, as far as the table of fates speaks of it.
type installation struct {
	text                string
	notes               string
	dispatcher, mutator map[string]any
	objects             map[string]object
}

func install(t *testing.T, values map[string]any) (installation, error) {
	t.Helper()
	rendered, err := Render(directory, Options{Values: values, APIVersions: certManager})
	if err != nil {
		return installation{}, err
	}
	return read(t, rendered), nil
}

// read finds what the table of fates speaks of.
func read(t *testing.T, rendered map[string]string) installation {
	t.Helper()
	result := installation{objects: objects(t, rendered)}
	for _, path := range slices.Sorted(maps.Keys(rendered)) {
		if strings.HasSuffix(path, "NOTES.txt") {
			result.notes = rendered[path]
		}
		result.text += rendered[path]
	}
	for name, one := range result.objects {
		if one.GetKind() != "ConfigMap" {
			continue
		}
		text := one.Object["data"].(map[string]any)["config.yaml"].(string)
		switch {
		case strings.HasSuffix(name, "-dispatcher-config"):
			result.dispatcher = settings(t, text)
		case strings.HasSuffix(name, "-mutator-config"):
			result.mutator = settings(t, text)
			if _, errs := mutator.ParseConfig([]byte(text)); len(errs) > 0 {
				t.Errorf("%s: the mutator refuses it: %v\n%s", name, errs.ToAggregate(), text)
			}
		}
	}
	return result
}

// put sets a value at a path of keys.
func put(values map[string]any, path string, value any) map[string]any {
	first, rest, isNested := strings.Cut(path, ".")
	if !isNested {
		values[first] = value
		return values
	}
	inner, isObject := values[first].(map[string]any)
	if !isObject {
		inner = map[string]any{}
		values[first] = inner
	}
	put(inner, rest, value)
	return values
}

func at(values map[string]any, path string) any {
	first, rest, isNested := strings.Cut(path, ".")
	if !isNested {
		return values[first]
	}
	inner, _ := values[first].(map[string]any)
	return at(inner, rest)
}

func example(t *testing.T, row migration.Row) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(row.Example), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// refusal wants rendering to fail with what the row says.
func refusal(t *testing.T, row migration.Row, values map[string]any) {
	t.Helper()
	_, err := install(t, values)
	for _, want := range []string{row.Name, row.Sentence(), row.As} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

// TestFormerConfiguration puts each of the existing stack's configuration keys
// into config: it is where the table says, and both programs' files are sound.
func TestFormerConfiguration(t *testing.T) {
	for _, row := range migration.Of(migration.ConfigKey) {
		if slices.Contains(notInTheChart, row.Name) || row.Name == "agent-config" {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			values := put(settings(t, required), "config."+row.Name, example(t, row))
			if row.Name == "default-resource-class-name" {
				put(values, "config.resourceClasses."+row.Example, map[string]any{})
			}
			key := row.ChartKey()
			if row.Fate == migration.Refused && key == "" {
				refusal(t, row, values)
				return
			}
			got, err := install(t, values)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Count(got.notes, "config."+row.Name+" has no effect: "+row.Note)
			_, isNested := strings.CutPrefix(row.Name, "agent-config.")
			switch {
			case row.Fate == migration.Warned:
				if lines != 1 || !isNested && at(got.dispatcher, row.Name) == nil || at(got.mutator, row.Name) != nil {
					t.Errorf("%d lines in the notes; the dispatcher's file: %v; the mutator's: %v", lines, got.dispatcher, got.mutator)
				}
			case lines != 0:
				t.Errorf("the notes warn of it:\n%s", got.notes)
			default:
				checkTaken(t, row, got)
			}
		})
	}
}

// checkTaken looks for a key's value in the file of who reads it.
func checkTaken(t *testing.T, row migration.Row, got installation) {
	t.Helper()
	inDispatcher, inMutator := at(got.dispatcher, row.ChartKey()), at(got.mutator, row.ChartKey())
	if inDispatcher == nil && inMutator == nil {
		t.Fatalf("%s is in neither file: %v, %v", row.ChartKey(), got.dispatcher, got.mutator)
	}
	for _, value := range []any{inDispatcher, inMutator} {
		if value != nil && !cmp.Equal(value, example(t, row)) {
			t.Errorf("got %v, want %s", value, row.Example)
		}
	}
}

// TestFormerConfigurationHasOneName keeps a value from being lost where it is
// given under both names.
func TestFormerConfigurationHasOneName(t *testing.T) {
	for _, text := range []string{
		"config: {org: a, pod-spec-patch: {nodeName: a}, podSpecPatch: {nodeName: b}}",
		"config: {org: a, agent-config: {no-pty: true}, agent: {noPTY: false}}",
		"config: {org: a, http-timeout: 5s, buildkite-request-timeout: 6s}",
	} {
		values := settings(t, "agentToken: a\ngraphqlToken: b\n"+text)
		if _, err := install(t, values); err == nil || !strings.Contains(err.Error(), "are the same: give one of them") {
			t.Errorf("%s: %v", text, err)
		}
	}
	got, err := install(t, settings(t, "agentToken: a\ngraphqlToken: b\nconfig: {org: a, additional-redacted-vars: [A], agent: {noPTY: true}, agent-config: {shell: sh, hooks-path: /h, hooksVolume: {name: h, emptyDir: {}}}}"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"redactedVars": []any{"A"}, "noPTY": true, "shell": "sh",
		"hooks": map[string]any{"path": "/h", "volume": map[string]any{"name": "h", "emptyDir": map[string]any{}}},
	}
	if diff := cmp.Diff(want, got.mutator["agent"]); diff != "" {
		t.Errorf("agent (-want +got):\n%s", diff)
	}
}

// TestTokensStayOutOfConfig is about the two keys that the chart sets itself.
func TestTokensStayOutOfConfig(t *testing.T) {
	for _, name := range notInTheChart {
		_, err := install(t, put(settings(t, required), "config."+name, "x"))
		if err == nil || !strings.Contains(err.Error(), "/config") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFormerValues sets each value beside config: those that are honoured change
// what is installed, and nothing is said against them.
func TestFormerValues(t *testing.T) {
	for _, row := range migration.Of(migration.ChartValue) {
		t.Run(row.Name, func(t *testing.T) {
			base := func() map[string]any {
				values := settings(t, required)
				if strings.HasPrefix(row.Name, "monitoring.") && !strings.HasSuffix(row.Name, ".deploy") {
					put(values, "monitoring.podMonitor.deploy", true)
				}
				return values
			}
			values := put(base(), row.Name, example(t, row))
			switch row.Fate {
			case migration.Refused:
				refusal(t, row, values)
			case migration.Honoured:
				before, err := install(t, base())
				if err != nil {
					t.Fatal(err)
				}
				after, err := install(t, values)
				if err != nil || before.text == after.text {
					t.Errorf("the same with and without it (%v)", err)
				}
				if strings.Contains(after.notes, "has no effect") {
					t.Errorf("the notes warn:\n%s", after.notes)
				}
			default:
				t.Fatal("no test for a value that is warned of")
			}
		})
	}
}

// TestFormerSecrets looks for the Secret and its keys, and for the dispatcher
// reading them.
func TestFormerSecrets(t *testing.T) {
	got, err := install(t, settings(t, required))
	if err != nil {
		t.Fatal(err)
	}
	secret, exists := got.objects["Secret/buildkite/agent-stack-k8s-secrets"]
	if !exists {
		t.Fatal("no Secret agent-stack-k8s-secrets")
	}
	data := secret.Object["stringData"].(map[string]any)
	for _, row := range migration.Of(migration.Secret) {
		if row.Fate != migration.Honoured {
			t.Errorf("%s: no test for a key that is not honoured", row.Name)
		}
		if row.Name == "<fullname>-secrets" {
			continue
		}
		file := "/etc/buildkite-tokens/" + row.Name
		if data[row.Name] == nil || !slices.Contains(slices.Collect(maps.Values(got.dispatcher)), any(file)) {
			t.Errorf("%s is in %v; the dispatcher reads %v", row.Name, data, got.dispatcher)
		}
	}
	other, err := install(t, settings(t, required+"agentStackSecret: theirs"))
	if err != nil {
		t.Fatal(err)
	}
	deployment := fmt.Sprint(other.objects["Deployment/buildkite/agent-stack-k8s-dispatcher"].Object)
	if !strings.Contains(deployment, "secretName:theirs") || other.objects["Secret/buildkite/agent-stack-k8s-secrets"].Unstructured != nil {
		t.Errorf("agentStackSecret is not what the dispatcher mounts, or the chart makes its own:\n%s", deployment)
	}
}
