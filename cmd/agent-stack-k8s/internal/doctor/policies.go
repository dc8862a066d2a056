package doctor

import (
	"context"
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
)

type metaExpression = metav1.LabelSelectorRequirement

// expectedFiles are the policies of the manifests, written by a test.
//
//go:embed expected/*.yaml
var expectedFiles embed.FS

// policyKinds are the ends of the policies' names, whatever the installation
// puts before them, and what each is for.
var policyKinds = map[string]string{
	"injected":             "a labelled pod that the mutator did not see could run",
	"dispatcher":           "a pod of the dispatcher without the label could run as its author wrote it",
	"ephemeral-containers": "a debug container could read the agent's token",
}

// checkPolicies holds the ValidatingAdmissionPolicies against those of the
// manifests.
func (d *doctor) checkPolicies(ctx context.Context) {
	const group = "admissionregistration.k8s.io/v1"
	var policies admissionregistrationv1.ValidatingAdmissionPolicyList
	var bindings admissionregistrationv1.ValidatingAdmissionPolicyBindingList
	err := d.client.Get(ctx, &policies, cluster.Group(group, "", "validatingadmissionpolicies"))
	if err == nil {
		err = d.client.Get(ctx, &bindings, cluster.Group(group, "", "validatingadmissionpolicybindings"))
	}
	if err != nil {
		d.at("policy", "ValidatingAdmissionPolicy").unseen(err)
		return
	}
	for _, kind := range []string{"injected", "dispatcher", "ephemeral-containers"} {
		d.checkPolicy(kind, policies.Items, bindings.Items)
	}
}

func (d *doctor) checkPolicy(kind string, policies []admissionregistrationv1.ValidatingAdmissionPolicy, bindings []admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
	expected := expectedPolicy(kind)
	index := slices.IndexFunc(policies, func(p admissionregistrationv1.ValidatingAdmissionPolicy) bool { return isKind(p, kind) })
	if index < 0 {
		d.at("policy", "ValidatingAdmissionPolicy …-"+kind).failf("Apply the manifests or the chart again.", "is not there: %s", policyKinds[kind])
		return
	}
	policy := policies[index]
	place := d.at("policy", "ValidatingAdmissionPolicy "+policy.Name)
	problems := policyProblems(expected, policy.Spec)
	for _, problem := range problems {
		place.failf(applyAgain, "%s: %s", problem, policyKinds[kind])
	}
	isBound := slices.ContainsFunc(bindings, func(b admissionregistrationv1.ValidatingAdmissionPolicyBinding) bool {
		return b.Spec.PolicyName == policy.Name && slices.Contains(b.Spec.ValidationActions, admissionregistrationv1.Deny) && b.Spec.MatchResources == nil
	})
	switch {
	case !isBound:
		place.failf(applyAgain, "no binding makes it deny everywhere: %s", policyKinds[kind])
	case len(problems) == 0:
		place.okf("is there, bound, and as it was installed")
	}
}

func isKind(policy admissionregistrationv1.ValidatingAdmissionPolicy, kind string) bool {
	if !strings.HasSuffix(policy.Name, "-"+kind) {
		return false
	}
	return slices.ContainsFunc(policy.Spec.Validations, func(v admissionregistrationv1.Validation) bool {
		return strings.Contains(v.Expression+v.MessageExpression+v.Message, "buildkite") || strings.Contains(v.Expression, "variables.ephemeral")
	})
}

func expectedPolicy(kind string) admissionregistrationv1.ValidatingAdmissionPolicySpec {
	text, err := expectedFiles.ReadFile("expected/" + kind + ".yaml")
	if err != nil {
		panic("read an embedded file: " + err.Error())
	}
	var spec admissionregistrationv1.ValidatingAdmissionPolicySpec
	if err := yaml.UnmarshalStrict(text, &spec); err != nil {
		panic("read an embedded file: " + err.Error())
	}
	return spec
}

// serviceAccountName is the part of an expression that an installation may
// change.
var serviceAccountName = regexp.MustCompile(`system:serviceaccount:[a-z0-9-]+:[a-z0-9.-]+`)

func normal(expression string) string {
	return strings.Join(strings.Fields(serviceAccountName.ReplaceAllString(expression, "system:serviceaccount:…")), " ")
}

// policyProblems lists how a policy differs from the one of the manifests, in
// what it lets through. Messages may differ.
func policyProblems(want, got admissionregistrationv1.ValidatingAdmissionPolicySpec) []string {
	var problems []string
	if got.FailurePolicy != nil && *got.FailurePolicy != admissionregistrationv1.Fail {
		problems = append(problems, "failurePolicy is not Fail")
	}
	if got.ParamKind != nil {
		problems = append(problems, "it has a paramKind, which ours has not")
	}
	if matched := matches(got); matched != matches(want) {
		problems = append(problems, "it applies to other requests: "+matched)
	}
	for _, part := range []struct {
		name      string
		want, got map[string]string
	}{
		{"matchConditions", conditionsOf(want), conditionsOf(got)},
		{"variables", variablesOf(want), variablesOf(got)},
		{"validations", validationsOf(want), validationsOf(got)},
	} {
		for name, expression := range part.want {
			if part.got[name] != expression {
				problems = append(problems, fmt.Sprintf("its %s were edited: one of ours is missing or changed, %s", part.name, short(name)))
			}
		}
		for name := range part.got {
			if _, known := part.want[name]; !known && part.name == "matchConditions" {
				problems = append(problems, "its matchConditions have "+name+", which ours have not")
			}
		}
	}
	slices.Sort(problems)
	return problems
}

func short(name string) string {
	if len(name) > 60 {
		return name[:60] + "…"
	}
	return name
}

// matches says what a policy applies to. Defaults that the API server fills in
// are left out.
func matches(spec admissionregistrationv1.ValidatingAdmissionPolicySpec) string {
	if spec.MatchConstraints == nil {
		return "nothing"
	}
	var rules []string
	for _, rule := range spec.MatchConstraints.ResourceRules {
		rules = append(rules, fmt.Sprintf("%v %v %v", rule.Operations, rule.Resources, rule.APIVersions))
	}
	selector := func(s *metav1.LabelSelector) string {
		if s == nil {
			return "all"
		}
		if text := metav1.FormatLabelSelector(s); text != "<none>" {
			return text
		}
		return "all"
	}
	return fmt.Sprintf("%s; namespaces %s; pods %s; %d exceptions", strings.Join(rules, ", "),
		selector(spec.MatchConstraints.NamespaceSelector), selector(spec.MatchConstraints.ObjectSelector), len(spec.MatchConstraints.ExcludeResourceRules))
}

func conditionsOf(spec admissionregistrationv1.ValidatingAdmissionPolicySpec) map[string]string {
	all := map[string]string{}
	for _, condition := range spec.MatchConditions {
		all[condition.Name] = normal(condition.Expression)
	}
	return all
}

func variablesOf(spec admissionregistrationv1.ValidatingAdmissionPolicySpec) map[string]string {
	all := map[string]string{}
	for _, variable := range spec.Variables {
		all[variable.Name] = normal(variable.Expression)
	}
	return all
}

func validationsOf(spec admissionregistrationv1.ValidatingAdmissionPolicySpec) map[string]string {
	all := map[string]string{}
	for _, validation := range spec.Validations {
		all[normal(validation.Expression)] = normal(validation.Expression)
	}
	return all
}
