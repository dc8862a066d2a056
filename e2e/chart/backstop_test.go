package chart

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
)

// Whatever an installation is called: the dispatcher knows what its own policies say
// to a new pod, and does not fail jobs for it.
func TestDispatcherKnowsItsOwnPolicies(t *testing.T) {
	for _, options := range []Options{
		{},
		{Release: "canary", Namespace: "ci"},
		{Values: map[string]any{"plainManifests": true}},
	} {
		if options.Values == nil {
			options.Values = map[string]any{}
		}
		maps.Copy(options.Values, settings(t, required))
		options.APIVersions = certManager
		rendered, err := Render(directory, options)
		if err != nil {
			t.Fatal(err)
		}
		sentences := 0
		for name, object := range objects(t, rendered) {
			if !strings.HasPrefix(name, "ValidatingAdmissionPolicy/") {
				continue
			}
			var policy admissionv1.ValidatingAdmissionPolicy
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &policy); err != nil {
				t.Fatal(err)
			}
			if policy.Spec.MatchConstraints.ResourceRules[0].Resources[0] != "pods" {
				continue // it says nothing to a new pod
			}
			for _, validation := range policy.Spec.Validations {
				if strings.Contains(validation.Expression, "'UPDATE'") {
					continue // nor does this
				}
				sentences++
				// An expression's first words are those of its message.
				text := strings.TrimPrefix(validation.Message+validation.MessageExpression, "'")
				// As k8s.io/apiserver/pkg/admission/plugin/policy/validating/dispatcher.go has it.
				answer := apierrors.NewGenericServerResponse(http.StatusForbidden, "create", metav1.SchemeGroupVersion.WithResource("pods").GroupResource(), "x",
					fmt.Sprintf("ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s", policy.Name, policy.Name, text), 0, false)
				answer.ErrStatus.Message = fmt.Sprintf(`pods "x" is forbidden: ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s`, policy.Name, policy.Name, text)
				if verdict := dispatcher.Classify(answer); verdict.Cause != dispatcher.CauseBackstop {
					t.Errorf("%s: %q is taken for %+v", policy.Name, text, verdict)
				}
			}
		}
		if sentences < 3 {
			t.Errorf("%d sentences, want those of both policies", sentences)
		}
	}
}
