package main

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/dispatcher/migration"
)

// place is a way to give an option.
type place struct {
	name string
	give func(t *testing.T, row migration.Row) (arguments []string, variables map[string]string)
}

var places = []place{
	{"file", func(t *testing.T, row migration.Row) ([]string, map[string]string) {
		name, inner, isNested := strings.Cut(row.Name, ".")
		if isNested {
			return []string{"--config", configFile(t, fmt.Sprintf("%s: {%s: %s}\n", name, inner, row.Example))}, nil
		}
		return []string{"--config", configFile(t, fmt.Sprintf("%s: %s\n", name, row.Example))}, nil
	}},
	{"flag", func(t *testing.T, row migration.Row) ([]string, map[string]string) {
		if row.Switch {
			return []string{"--" + row.Name}, nil
		}
		return []string{"--" + row.Name, flagText(t, row)}, nil
	}},
	{"variable", func(t *testing.T, row migration.Row) ([]string, map[string]string) {
		return nil, map[string]string{row.Variable(): flagText(t, row)}
	}},
}

// flagText is a row's example as a flag has it: a list with commas.
func flagText(t *testing.T, row migration.Row) string {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(row.Example), &value); err != nil {
		t.Fatal(err)
	}
	list, isList := value.([]any)
	if !isList {
		return row.Example
	}
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = fmt.Sprint(item)
	}
	return strings.Join(texts, ",")
}

// necessary are the options without which nothing works.
var necessary = map[string]string{"ORG": "necessary", "BUILDKITE_TOKEN": "necessary"}

// TestFormerOptions gives each of the existing stack's options as it was given
// there: in a file, as a flag and as a variable.
func TestFormerOptions(t *testing.T) {
	standard, err := load(nil, environment(necessary))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range migration.Of(migration.ConfigKey) {
		for _, place := range places {
			if place.name != "file" && row.FileOnly || place.name == "file" && row.Name == "config" {
				continue
			}
			t.Run(row.Name+"/"+place.name, func(t *testing.T) {
				if row.Name == "config" {
					row.Example = configFile(t, "debug: true\n")
				}
				arguments, variables := place.give(t, row)
				variables = with(necessary, variables)
				if place.name == "file" {
					// It would win over the file.
					delete(variables, row.Variable())
				}
				got, err := load(arguments, environment(variables))
				if strings.HasPrefix(row.Name, "agent-config.") {
					row, _ = migration.Key("agent-config")
				}
				checkFate(t, row, standard, got, err)
			})
		}
	}
}

func with(base, more map[string]string) map[string]string {
	all := maps.Clone(base)
	maps.Copy(all, more)
	return all
}

func checkFate(t *testing.T, row migration.Row, standard, got options, err error) {
	t.Helper()
	if row.Fate == migration.Refused {
		for _, want := range []string{"Forbidden", row.Sentence(), row.As + row.Chart} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is missing in: %v", want, err)
			}
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	ignored := got.ignored
	got.ignored = nil
	hasEffect := !reflect.DeepEqual(effects(standard), effects(got))
	switch row.Fate {
	case migration.Warned:
		if len(ignored) != 1 || ignored[0].why != row.Note || hasEffect {
			t.Errorf("warnings %v, effect %t", ignored, hasEffect)
		}
	case migration.Honoured:
		if len(ignored) > 0 || !hasEffect && !withoutEffect[row.Name] {
			t.Errorf("warnings %v, effect %t", ignored, hasEffect)
		}
	}
}

// effects leaves out of the options where they came from.
func effects(o options) options {
	o.layers, o.config = nil, ""
	return o
}

// withoutEffect are options that ask for what is so anyway.
var withoutEffect = map[string]bool{"no-color": true, "enable-queue-pause": true, "log-format": true}

func TestFormerOptionMeetsItsSuccessor(t *testing.T) {
	cases := map[string]struct {
		arguments []string
		variables map[string]string
		want      time.Duration
		problem   string
	}{
		"the former flag wins over the variable": {[]string{"--http-timeout=5s"}, map[string]string{"BUILDKITE_REQUEST_TIMEOUT": "6s"}, 5 * time.Second, ""},
		"the flag wins over the former variable": {[]string{"--buildkite-request-timeout=5s"}, map[string]string{"HTTP_TIMEOUT": "6s"}, 5 * time.Second, ""},
		"both in one place":                      {[]string{"--buildkite-request-timeout=5s", "--http-timeout=6s"}, nil, 0, "--http-timeout and buildkite-request-timeout are the same: give one of them"},
		"a value that it cannot have":            {[]string{"--http-timeout=soon"}, nil, 0, `--http-timeout: "soon" is not a duration`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := load(tc.arguments, environment(with(necessary, tc.variables)))
			if tc.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tc.problem) {
					t.Errorf("got %v, want %q", err, tc.problem)
				}
				return
			}
			if err != nil || got.requestTimeout != tc.want {
				t.Errorf("got %s, %v", got.requestTimeout, err)
			}
		})
	}
}

// A line for each, whatever the file has, and then the work begins.
func TestIgnoredOptionsAreLogged(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	path := configFile(t, "org: acme\nbuildkite-token: t\nwork-queue-limit: 5\nlog-format: logfmt\nlog-level:\nimage-check-container-cpu-limit: {odd: [value]}\n")
	var stdout, stderr bytes.Buffer
	run(t.Context(), []string{"-f", path, "--enable-completion-watcher"}, environment(nil), &stdout, &stderr)
	for option, count := range map[string]int{
		"an option of the existing stack has no effect": 3,
		"--enable-completion-watcher":                   1,
		path + " line 3: work-queue-limit":              1,
		path + " line 6: image-check-container":         1,
	} {
		if got := strings.Count(stderr.String(), option); got != count {
			t.Errorf("%q is there %d times, want %d:\n%s", option, got, count, &stderr)
		}
	}
}
