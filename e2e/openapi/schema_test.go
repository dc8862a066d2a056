package openapi

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/buildkite/agent-stack-k8s/docs"
)

// definition is one of an OpenAPI document, or of a JSON Schema, as far as both
// say the same.
type definition struct {
	Properties map[string]struct {
		Description string `json:"description"`
	} `json:"properties"`
}

// kubernetes are the definitions of Kubernetes' OpenAPI for pods, by the names of
// their types.
func kubernetes(t *testing.T) map[string]definition {
	t.Helper()
	directory, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(directory)), "api", "openapi-spec", "v3", "api__v1_openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]definition `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	byName := map[string]definition{}
	for name, one := range document.Components.Schemas {
		if strings.HasPrefix(name, "io.k8s.api.core.v1.") || strings.HasPrefix(name, "io.k8s.apimachinery.pkg.apis.meta.v1.") {
			byName[name[strings.LastIndex(name, ".")+1:]] = one
		}
	}
	return byName
}

// TestPluginSchema: the schema of the plugin describes every type of Kubernetes'
// that a pod's spec leads to, each with Kubernetes' fields and no others.
func TestPluginSchema(t *testing.T) {
	var ours struct {
		Definitions map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(docs.KubernetesPluginSchema, &ours); err != nil {
		t.Fatal(err)
	}
	theirs := kubernetes(t)
	checked := 0
	for _, name := range slices.Sorted(maps.Keys(ours.Definitions)) {
		// Those of patches have the same fields, and no descriptions.
		base, isPatch := strings.CutSuffix(name, "Patch")
		want, known := theirs[base]
		if !known {
			continue
		}
		var got definition
		if err := json.Unmarshal(ours.Definitions[name], &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checked++
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want.Properties)), slices.Sorted(maps.Keys(got.Properties))); diff != "" {
			t.Errorf("fields of %s (-Kubernetes +ours):\n%s", name, diff)
		}
		for field, description := range want.Properties {
			if !isPatch && !rewritten[name+"."+field] && letters(got.Properties[field].Description) != letters(description.Description) {
				t.Errorf("%s.%s is described as %q, and by Kubernetes as %q", name, field, got.Properties[field].Description, description.Description)
			}
		}
	}
	if checked < 200 {
		t.Errorf("only %d definitions are Kubernetes'", checked)
	}
}

// letters is the beginning of a description, without what differs between the two
// ways in which Kubernetes writes it: line ends, backslashes, and tables further on.
func letters(text string) string {
	const beginning = 60
	text = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, text)
	return text[:min(len(text), beginning)]
}

// rewritten are fields of a pod that are not the author's to decide here.
var rewritten = map[string]bool{"PodSpec.restartPolicy": true, "PodSpec.schedulingGates": true, "PodSpec.ephemeralContainers": true}
