package webhook

import (
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/patch"
)

// reviewUpdate lets the manifest of a job pod be applied again; see
// mutator.Restore. It refuses nothing, not even what it cannot read: which changes
// a pod may see is for the API server to say.
func (h *Handler) reviewUpdate(request admission.Request, pod *corev1.Pod) (admission.Response, outcome) {
	if checkSize(request.Object.Raw) != nil || checkSize(request.OldObject.Raw) != nil {
		return admission.Allowed(""), outcomeUnchanged
	}
	var old corev1.Pod
	if kjson.Unmarshal(request.Object.Raw, pod) != nil || kjson.Unmarshal(request.OldObject.Raw, &old) != nil {
		return admission.Allowed(""), outcomeError
	}
	if !mutator.Restore(&old, pod) {
		return admission.Allowed(""), outcomeUnchanged
	}
	operations, err := patch.Create(request.Object.Raw, pod)
	if err != nil {
		return admission.Allowed(""), outcomeError
	}
	return admission.Response{Patches: operations, AdmissionResponse: admissionv1.AdmissionResponse{Allowed: true}}, outcomeMutated
}
