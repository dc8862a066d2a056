package policy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

const manifests = "../../manifests/base"

// load reads a policy of the manifests.
func load(t *testing.T, file string) *admissionregistrationv1.ValidatingAdmissionPolicy {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(manifests, file))
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var policy admissionregistrationv1.ValidatingAdmissionPolicy
		if err := decoder.Decode(&policy); errors.Is(err, io.EOF) {
			t.Fatalf("%s has no policy", file)
		} else if err != nil {
			t.Fatal(err)
		}
		if policy.Kind == "ValidatingAdmissionPolicy" {
			return &policy
		}
	}
}

// compile makes an evaluator as the API server does.
func compile(t *testing.T, policy *admissionregistrationv1.ValidatingAdmissionPolicy) validating.Validator {
	t.Helper()
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		t.Fatal(err)
	}
	options := cel.OptionalVariableDeclarations{HasAuthorizer: true}
	check := func(expression cel.ExpressionAccessor, options cel.OptionalVariableDeclarations) {
		if result := compiler.CompileCELExpression(expression, options, environment.NewExpressions); result.Error != nil {
			t.Errorf("%s: %v in %s", policy.Name, result.Error, expression.GetExpression())
		}
	}
	for _, variable := range policy.Spec.Variables {
		named := &validating.Variable{Name: variable.Name, Expression: variable.Expression}
		check(named, options)
		compiler.CompileAndStoreVariable(named, options, environment.NewExpressions)
	}
	var matches, validations, messages []cel.ExpressionAccessor
	for i := range policy.Spec.MatchConditions {
		condition := (*matchconditions.MatchCondition)(&policy.Spec.MatchConditions[i])
		check(condition, options)
		matches = append(matches, condition)
	}
	for _, validation := range policy.Spec.Validations {
		condition := &validating.ValidationCondition{Expression: validation.Expression, Message: validation.Message, Reason: validation.Reason}
		check(condition, options)
		validations = append(validations, condition)
		messages = append(messages, nil)
		if validation.MessageExpression != "" {
			message := &validating.MessageExpressionCondition{MessageExpression: validation.MessageExpression}
			check(message, cel.OptionalVariableDeclarations{})
			messages[len(messages)-1] = message
		}
	}
	var matcher matchconditions.Matcher
	if len(matches) > 0 {
		matcher = matchconditions.NewMatcher(compiler.CompileCondition(matches, options, environment.NewExpressions), policy.Spec.FailurePolicy, "policy", "validate", policy.Name)
	}
	return validating.NewValidator(
		compiler.CompileCondition(validations, options, environment.NewExpressions), matcher,
		compiler.CompileCondition(nil, options, environment.NewExpressions),
		compiler.CompileCondition(messages, cel.OptionalVariableDeclarations{}, environment.NewExpressions),
		policy.Spec.FailurePolicy, nil)
}

// request is an admission request that matches a policy's constraints.
type request struct {
	operation   admission.Operation
	pod, old    *corev1.Pod
	subresource string
	user        string
	namespace   map[string]string
}

// denial returns the policy's first sentence against a request; empty if it
// has none.
func denial(t *testing.T, validator validating.Validator, r request) string {
	t.Helper()
	kind := corev1.SchemeGroupVersion.WithKind("Pod")
	resource := corev1.SchemeGroupVersion.WithResource("pods")
	// A typed nil pointer is not an absent object.
	var old runtime.Object
	if r.old != nil {
		old = r.old
	}
	attributes := admission.NewAttributesRecord(r.pod, old, kind, "jobs", r.pod.Name, resource, r.subresource, r.operation, nil, false, &user.DefaultInfo{Name: r.user})
	versioned := &admission.VersionedAttributes{Attributes: attributes, VersionedKind: kind}
	versioned.VersionedObject.Set(r.pod)
	if old != nil {
		versioned.VersionedOldObject.Set(old)
	}
	labels := r.namespace
	if labels == nil {
		labels = map[string]string{contract.NamespaceLabel: contract.NamespaceEnabled}
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "jobs", Labels: labels}}
	result := validator.Validate(t.Context(), resource, versioned, nil, namespace, celconfig.RuntimeCELCostBudget, nil)
	for _, decision := range result.Decisions {
		if decision.Evaluation == validating.EvalError {
			t.Fatalf("evaluate: %s", decision.Message)
		}
		if decision.Action == validating.ActionDeny {
			return decision.Message
		}
	}
	return ""
}

// labelled is a pod as its creator makes it.
func labelled(gated bool) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: map[string]string{contract.InjectLabel: contract.InjectEnabled}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "job", Image: "a", Command: []string{"b"}}, {Name: "second", Image: "c", Command: []string{"d"}},
		}},
	}
	if gated {
		pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: contract.Gate}}
	}
	return pod
}

// injected is the pod after the mutator, changed by edits.
func injected(t *testing.T, edits ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	config, errs := mutator.ParseConfig([]byte("{apiVersion: buildkite.com/v1alpha1, kind: MutatorConfiguration, agentImage: a, entrypointImage: b}"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	pod := labelled(true)
	if _, errs := config.Mutate(pod); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	for _, edit := range edits {
		edit(pod)
	}
	return pod
}

func TestInjected(t *testing.T) {
	validator := compile(t, load(t, "policy-injected.yaml"))
	create := func(pod *corev1.Pod) request { return request{operation: admission.Create, pod: pod} }
	update := func(old, pod *corev1.Pod) request {
		return request{operation: admission.Update, pod: pod, old: old}
	}
	plain := labelled(false)
	plain.Labels = nil
	deleting := labelled(false)
	deleting.DeletionTimestamp = &metav1.Time{}
	mirror := labelled(false)
	mirror.Annotations = map[string]string{"kubernetes.io/config.mirror": "x"}
	cases := map[string]struct {
		request request
		want    string
	}{
		"created gated":    {create(labelled(true)), ""},
		"created injected": {create(injected(t)), ""},
		"created as it is": {create(labelled(false)), "the Buildkite mutator has not made it a job runner"},
		"mirror pod":       {create(mirror), ""},
		"only the receipt": {create(func() *corev1.Pod {
			p := labelled(false)
			p.Annotations = map[string]string{contract.InjectedAnnotation: "{}"}
			return p
		}()), "has not made it a job runner"},
		"no receipt":                {create(injected(t, func(p *corev1.Pod) { delete(p.Annotations, contract.InjectedAnnotation) })), "has not made it a job runner"},
		"job containers unwrapped":  {create(injected(t, func(p *corev1.Pod) { p.Spec.Containers[0].Command, p.Spec.Containers[1].Command = nil, nil })), "has not made it a job runner"},
		"one container unwrapped":   {create(injected(t, func(p *corev1.Pod) { p.Spec.Containers[1].Command = []string{"sh"} })), "has not made it a job runner"},
		"agent not wrapped":         {create(injected(t, func(p *corev1.Pod) { p.Spec.Containers[2].Command = nil })), "has not made it a job runner"},
		"no agent":                  {create(injected(t, func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers[:2], p.Spec.Containers[3]) })), "has not made it a job runner"},
		"foreign sidecar":           {create(injected(t, func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "proxy"}) })), ""},
		"namespace not opted in":    {request{operation: admission.Create, pod: labelled(true), namespace: map[string]string{"a": "b"}}, "the namespace jobs has not opted in"},
		"namespace without labels":  {request{operation: admission.Create, pod: labelled(true), namespace: map[string]string{}}, "the namespace jobs has not opted in"},
		"namespace opted out later": {request{operation: admission.Update, pod: injected(t), old: injected(t), namespace: map[string]string{}}, ""},
		"update of a gated pod":     {update(labelled(true), labelled(true)), ""},
		"update of an injected pod": {update(injected(t), injected(t)), ""},
		"gate removed":              {update(labelled(true), labelled(false)), "removed by the Buildkite mutator when a pod is created"},
		"gate removed, forged":      {update(labelled(true), injected(t)), "removed by the Buildkite mutator when a pod is created"},
		"label added":               {update(plain, labelled(false)), "cannot be added to a pod"},
		"label removed":             {update(labelled(true), plain), "cannot be added to a pod or removed"},
		"deletion of an old pod":    {update(labelled(false), deleting), ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) { checkDenial(t, denial(t, validator, tc.request), tc.want) })
	}
}

func TestDispatcher(t *testing.T) {
	validator := compile(t, load(t, "policy-dispatcher.yaml"))
	plain, wrong := labelled(true), labelled(true)
	plain.Labels = nil
	wrong.Labels[contract.InjectLabel] = "false"
	const dispatcher = "system:serviceaccount:buildkite:dispatcher"
	cases := map[string]struct {
		request request
		want    string
	}{
		"labelled":      {request{operation: admission.Create, pod: labelled(true), user: dispatcher}, ""},
		"without label": {request{operation: admission.Create, pod: plain, user: dispatcher}, "must have the label"},
		"label false":   {request{operation: admission.Create, pod: wrong, user: dispatcher}, "must have the label"},
		"somebody else": {request{operation: admission.Create, pod: plain, user: "system:serviceaccount:other:dispatcher"}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) { checkDenial(t, denial(t, validator, tc.request), tc.want) })
	}
}

func TestEphemeralContainers(t *testing.T) {
	validator := compile(t, load(t, "policy-ephemeral.yaml"))
	token := corev1.LocalObjectReference{Name: "buildkite-agent-token"}
	cases := map[string]struct {
		container corev1.EphemeralContainer
		want      string
	}{
		"a shell":       {ephemeral(corev1.EphemeralContainerCommon{}, ""), ""},
		"beside a job":  {ephemeral(corev1.EphemeralContainerCommon{}, "job"), ""},
		"the workspace": {ephemeral(corev1.EphemeralContainerCommon{VolumeMounts: []corev1.VolumeMount{{Name: "workspace", MountPath: "/w"}}}, ""), ""},
		"the token":     {ephemeral(corev1.EphemeralContainerCommon{VolumeMounts: []corev1.VolumeMount{{Name: contract.AgentTokenVolume, MountPath: "/t"}}}, ""), "may not mount an injected volume"},
		"the agent":     {ephemeral(corev1.EphemeralContainerCommon{}, contract.AgentContainer), "may not share the processes of the agent"},
		"env": {ephemeral(corev1.EphemeralContainerCommon{Env: []corev1.EnvVar{{Name: "A", Value: "plain"}, {Name: "T", ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: token, Key: "k"},
		}}}}, ""), "may not read the Secret"},
		"envFrom":        {ephemeral(corev1.EphemeralContainerCommon{EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: token}}}}, ""), "may not read the Secret"},
		"another Secret": {ephemeral(corev1.EphemeralContainerCommon{EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "mine"}}}}}, ""), ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pod := injected(t, func(p *corev1.Pod) { p.Spec.EphemeralContainers = []corev1.EphemeralContainer{tc.container} })
			checkDenial(t, denial(t, validator, request{operation: admission.Update, pod: pod, old: injected(t), subresource: "ephemeralcontainers"}), tc.want)
		})
	}
}

func ephemeral(common corev1.EphemeralContainerCommon, target string) corev1.EphemeralContainer {
	common.Name = "debug"
	return corev1.EphemeralContainer{EphemeralContainerCommon: common, TargetContainerName: target}
}

func checkDenial(t *testing.T, got, want string) {
	t.Helper()
	if want == "" && got != "" {
		t.Errorf("denied: %s", got)
	}
	if want != "" && !strings.Contains(got, want) {
		t.Errorf("denial = %q, want it to contain %q", got, want)
	}
}
