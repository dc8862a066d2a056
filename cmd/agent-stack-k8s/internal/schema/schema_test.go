package schema

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/docs"
)

const root = "../../../.."

// TestCommitted: the file in docs is what would be generated.
func TestCommitted(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "plugin-reference.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(Generate(Meanings(string(page))), docs.KubernetesPluginSchema) {
		t.Error("docs/kubernetes-plugin.schema.json is not what would be generated; run make generate")
	}
}

// TestMeanings: every field of the plugin says what it means.
func TestMeanings(t *testing.T) {
	var schema struct {
		Definitions map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(docs.KubernetesPluginSchema, &schema); err != nil {
		t.Fatal(err)
	}
	var definition struct {
		Properties map[string]struct {
			Description string `json:"description"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(schema.Definitions["plugin"], &definition); err != nil {
		t.Fatal(err)
	}
	plugin := definition.Properties
	if len(plugin) < 10 {
		t.Fatalf("the plugin has %d fields", len(plugin))
	}
	for name, field := range plugin {
		// These have fields of their own, which say it.
		if field.Description == "" && name != "checkout" && name != "commandParams" && name != "sidecarParams" {
			t.Errorf("%s has no description", name)
		}
	}
}

// compile makes a validator of a part, with a library that knows nothing of us.
func compile(t testing.TB, part string) *jsonschema.Schema {
	t.Helper()
	text := docs.KubernetesPluginSchema
	if part != "pipeline" {
		var err error
		if text, err = Part(text, part); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	// Nothing may be fetched: what there is has to do.
	compiler.UseLoader(jsonschema.SchemeURLLoader{})
	if err := compiler.AddResource(Address, parsed); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(Address)
	if err != nil {
		t.Fatal(err)
	}

	return schema
}

// value is a node as the validator wants it.
func value(t testing.TB, node *document.Node) any {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(node.JSON()))
	if err != nil {
		t.Fatal(err)
	}

	return parsed
}

// example is a pipeline that people are shown.
type example struct {
	name string
	node *document.Node
}

var yamlBlock = regexp.MustCompile("(?s)```ya?ml\n(.*?)```")

// examples are all pipelines in pages, manifests and testdata of lint.
func examples(t *testing.T) []example {
	t.Helper()
	var found []example
	add := func(name, text string) {
		documents, problems := document.Parse([]byte(text))
		if len(problems) > 0 {
			t.Fatalf("%s: %v", name, problems)
		}
		if len(documents) > 0 && documents[0].Get("steps") != nil && pipeline.Is(documents[0]) {
			found = append(found, example{name, documents[0]})
		}
	}
	for _, pattern := range []string{"README.md", "docs/*.md", "manifests/README.md"} {
		for _, file := range glob(t, pattern) {
			for _, block := range yamlBlock.FindAllStringSubmatch(read(t, file), -1) {
				add(file+":\n"+block[1], block[1])
			}
		}
	}
	for _, pattern := range []string{"manifests/examples/*.yaml", "cmd/agent-stack-k8s/internal/lint/testdata/sound/*.yml"} {
		for _, file := range glob(t, pattern) {
			add(file, read(t, file))
		}
	}

	return found
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}

	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	return string(text)
}

// TestExamples: a stock validator accepts every pipeline that people are shown,
// and the kubernetes plugins in them.
func TestExamples(t *testing.T) {
	pipelines, plugins, steps := compile(t, "pipeline"), compile(t, "plugin"), compile(t, "step")
	count := 0
	for _, one := range examples(t) {
		if err := pipelines.Validate(value(t, one.node)); err != nil {
			t.Errorf("%s: %v", one.name, err)
		}
		found, err := pipeline.Steps(one.node)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range found {
			if err := steps.Validate(value(t, step.Node)); err != nil && !strings.HasSuffix(step.Path, ".command") {
				t.Errorf("%s: %s: %v", one.name, step.Path, err)
			}
			all, _ := step.Plugins()
			for _, plugin := range all {
				if !plugin.IsKubernetes() || plugin.Config.IsNull() {
					continue
				}
				count++
				if err := plugins.Validate(value(t, plugin.Config)); err != nil {
					t.Errorf("%s: %s: %v", one.name, step.Path, err)
				}
			}
		}
	}
	if count < 15 {
		t.Errorf("only %d plugins were checked", count)
	}
}

// TestBroken: it refuses what lint refuses for its form.
func TestBroken(t *testing.T) {
	pipelines := compile(t, "pipeline")
	for _, name := range []string{
		"env-number", "plugin-types", "plugin-typos", "pod-types", "pod-typos", "quantity-words", "sidecar-fields", "probes-of-the-job",
		"restart-policy", "scheduling", "step-keys", "step-types", "step-values", "groups", "retries", "matrices", "nested-steps", "variables", "agent-tags",
	} {
		documents, problems := document.Parse([]byte(read(t, filepath.Join("..", "lint", "testdata", "broken", name+".yml"))))
		if len(problems) > 0 {
			t.Fatalf("%s: %v", name, problems)
		}
		if pipelines.Validate(value(t, documents[0])) == nil {
			t.Errorf("%s.yml is accepted", name)
		}
	}
}
