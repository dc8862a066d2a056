package lint

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/admission"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/lint/finding"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/pipeline"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/schema"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/randomplugin"
	"github.com/buildkite/agent-stack-k8s/docs"
)

// plugins is how many plugins lint, schema and mutator are asked about.
const plugins = 300

// TestAgreement asks lint, the JSON Schema, and the dispatcher and mutator about
// the same plugins, sound and broken, made from seeds:
//
//   - what the dispatcher or the mutator refuses, lint calls an error;
//   - what the schema refuses, lint has found a wrong value in;
//   - an unknown field or a wrong type, which are the form that a schema is about,
//     is refused by the schema where lint calls it an error.
func TestAgreement(t *testing.T) {
	l := testLinter(t, "")
	validator := pipelineValidator(t)
	var refused, invalid, wrong int
	for seed := range uint64(plugins) {
		text, err := json.Marshal(map[string]any{"steps": []any{map[string]any{
			"command": "make", "plugins": []any{map[string]any{"kubernetes": randomplugin.Plugin(seed)}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		result := l.lint(text)
		documents, _ := document.Parse(text)

		byMutator := refusals(t, l, documents[0])
		if len(byMutator) > 0 {
			refused++
		}
		if len(byMutator) > 0 && !result.hasErrors() {
			t.Errorf("seed %d: the dispatcher or the mutator refuses it, and lint does not: %v\n%s", seed, byMutator.ToAggregate(), text)
		}

		parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		bySchema := validator.Validate(parsed)
		if bySchema != nil {
			invalid++
		}
		if bySchema != nil && !slices.ContainsFunc(result.findings, aboutValues) {
			t.Errorf("seed %d: the schema refuses it, and lint has found no wrong value: %v\n%s", seed, bySchema, text)
		}
		if one := ofForm(result.findings); one != nil {
			wrong++
			if bySchema == nil {
				t.Errorf("seed %d: the schema accepts it, and lint says %s\n%s", seed, one.Line("-"), text)
			}
		}
		if t.Failed() && seed > 200 {
			t.Fatal("and perhaps more")
		}
	}
	t.Logf("%d plugins: dispatcher or mutator refuse %d, the schema %d, lint for their form %d", plugins, refused, invalid, wrong)
	if least := plugins / 10; refused < least || invalid < least || wrong < least || invalid > plugins*8/10 {
		t.Error("the plugins are not the mixture that tells something")
	}
}

// aboutValues says whether a finding is about a value, rather than about what a
// sound plugin would do.
func aboutValues(f finding.Finding) bool {
	return f.Rule != finding.Command && f.Rule != finding.Sidecar
}

// ofForm returns an error that a schema can find, if there is one.
func ofForm(findings []finding.Finding) *finding.Finding {
	for i, one := range findings {
		if one.Severity == finding.Error && (one.Rule == finding.UnknownField || one.Rule == finding.WrongType) {
			return &findings[i]
		}
	}

	return nil
}

// refusals are those of the dispatcher, or else of the mutator, asked directly.
func refusals(t *testing.T, l linter, root *document.Node) field.ErrorList {
	t.Helper()
	steps, err := pipeline.Steps(root)
	if err != nil || len(steps) != 1 {
		t.Fatalf("%d steps: %v", len(steps), err)
	}
	job, err := steps[0].Job(0)
	if err != nil {
		t.Fatal(err)
	}
	pod, errs := admission.Dispatch(job, json.RawMessage("{}"))
	if len(errs) > 0 {
		return errs
	}
	_, errs, err = admission.Review(l.config, pod)
	if err != nil {
		// What cannot be decoded the API server refuses before it asks anybody.
		return field.ErrorList{field.Invalid(field.NewPath("spec"), field.OmitValueType{}, err.Error())}
	}

	return errs
}

func pipelineValidator(t *testing.T) *jsonschema.Schema {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(docs.KubernetesPluginSchema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(schema.Address, parsed); err != nil {
		t.Fatal(err)
	}
	validator, err := compiler.Compile(schema.Address)
	if err != nil {
		t.Fatal(err)
	}

	return validator
}
