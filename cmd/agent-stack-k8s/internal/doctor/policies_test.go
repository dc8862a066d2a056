package doctor

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the policies that are compared with, from the manifests")

// manifestObjects returns the objects of a kind in the manifests.
func manifestObjects[T any](t *testing.T, kind string) []T {
	t.Helper()
	files, err := filepath.Glob("../../../../manifests/base/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	var found []T
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
			var head struct {
				Kind string `json:"kind"`
			}
			if yaml.Unmarshal(document, &head) != nil || head.Kind != kind {
				continue
			}
			var object T
			if err := yaml.Unmarshal(document, &object); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			found = append(found, object)
		}
	}
	return found
}

// TestExpectedPolicies holds what policies are compared with against the
// manifests.
func TestExpectedPolicies(t *testing.T) {
	policies := manifestObjects[admissionregistrationv1.ValidatingAdmissionPolicy](t, "ValidatingAdmissionPolicy")
	if len(policies) != len(policyKinds) {
		t.Fatalf("%d policies in the manifests, %d are known", len(policies), len(policyKinds))
	}
	for kind := range policyKinds {
		var spec *admissionregistrationv1.ValidatingAdmissionPolicySpec
		for _, policy := range policies {
			if isKind(policy, kind) {
				spec = &policy.Spec
			}
		}
		if spec == nil {
			t.Fatalf("no policy …-%s in the manifests", kind)
		}
		if *update {
			text, err := sigsyaml.Marshal(spec)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join("expected", kind+".yaml"), text, 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if problems := policyProblems(expectedPolicy(kind), *spec); len(problems) > 0 {
			t.Errorf("%s: go test ./cmd/agent-stack-k8s/internal/doctor -update: %s", kind, strings.Join(problems, "; "))
		}
	}
}

// TestEditedPolicies: every edit that lets more through is found.
func TestEditedPolicies(t *testing.T) {
	for name, edit := range map[string]func(*admissionregistrationv1.ValidatingAdmissionPolicySpec){
		"a validation is gone":     func(s *admissionregistrationv1.ValidatingAdmissionPolicySpec) { s.Validations = s.Validations[1:] },
		"a validation always true": func(s *admissionregistrationv1.ValidatingAdmissionPolicySpec) { s.Validations[0].Expression = "true" },
		"a variable is changed":    func(s *admissionregistrationv1.ValidatingAdmissionPolicySpec) { s.Variables[0].Expression = "true" },
		"ignores failures": func(s *admissionregistrationv1.ValidatingAdmissionPolicySpec) {
			s.FailurePolicy = new(admissionregistrationv1.Ignore)
		},
		"a condition more": func(s *admissionregistrationv1.ValidatingAdmissionPolicySpec) {
			s.MatchConditions = append(s.MatchConditions, admissionregistrationv1.MatchCondition{Name: "mine", Expression: "false"})
		},
		"one operation less": func(s *admissionregistrationv1.ValidatingAdmissionPolicySpec) {
			s.MatchConstraints.ResourceRules[0].Operations = s.MatchConstraints.ResourceRules[0].Operations[:1]
		},
		"fewer namespaces": func(s *admissionregistrationv1.ValidatingAdmissionPolicySpec) {
			s.MatchConstraints.NamespaceSelector.MatchLabels = map[string]string{"a": "b"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			edited := expectedPolicy("injected")
			edit(&edited)
			if problems := policyProblems(expectedPolicy("injected"), edited); len(problems) == 0 {
				t.Error("not found")
			}
		})
	}
	other := expectedPolicy("dispatcher")
	for i := range other.MatchConditions {
		other.MatchConditions[i].Expression = strings.Replace(other.MatchConditions[i].Expression, "buildkite:dispatcher", "ci:release-dispatcher", 1)
	}
	if problems := policyProblems(expectedPolicy("dispatcher"), other); len(problems) > 0 {
		t.Errorf("another service account is an edit: %s", problems)
	}
}

// TestWebhookOfTheManifests: the one that is installed has nothing wrong.
func TestWebhookOfTheManifests(t *testing.T) {
	configurations := manifestObjects[admissionregistrationv1.MutatingWebhookConfiguration](t, "MutatingWebhookConfiguration")
	if len(configurations) != 1 || len(configurations[0].Webhooks) != 1 {
		t.Fatalf("%d configurations", len(configurations))
	}
	if problems := webhookProblems(&configurations[0].Webhooks[0]); len(problems) > 0 {
		t.Error(problems)
	}
}
