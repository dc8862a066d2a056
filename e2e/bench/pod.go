package bench

import (
	"encoding/json"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Shape is the size of a pod.
type Shape struct {
	Containers int
	// Variables is how many each container has.
	Variables int
}

// Shapes are what is measured.
var Shapes = []Shape{{1, 20}, {1, 200}, {1, 2000}, {10, 20}}

// String says the shape in words.
func (s Shape) String() string {
	if s.Containers == 1 {
		return fmt.Sprintf("%d variables", s.Variables)
	}
	return fmt.Sprintf("%d containers with %d variables each", s.Containers, s.Variables)
}

// Pod is a job's pod as the API server sends it: as a dispatcher submitted it,
// with the API server's defaults.
func (s Shape) Pod() ([]byte, error) {
	pod := corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "buildkite-0194f5a0-0000-4000-8000-000000000000", Namespace: "jobs",
			Labels: map[string]string{
				contract.InjectLabel:       contract.InjectEnabled,
				contract.JobUUIDLabel:      "0194f5a0-0000-4000-8000-000000000000",
				contract.ControllerIDLabel: "bench",
			},
			Annotations: map[string]string{},
		},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: ptr.To[int64](30),
			DNSPolicy:                     corev1.DNSClusterFirst,
			SchedulerName:                 corev1.DefaultSchedulerName,
			SecurityContext:               &corev1.PodSecurityContext{},
			EnableServiceLinks:            new(true),
			SchedulingGates:               []corev1.PodSchedulingGate{{Name: contract.Gate}},
		},
	}
	var names []string
	for i := range s.Containers {
		name := fmt.Sprintf("job-%d", i)
		names = append(names, name)
		pod.Spec.Containers = append(pod.Spec.Containers, s.container(name))
	}
	pod.Annotations[contract.JobContainersAnnotation] = strings.Join(names, ",")
	raw, err := json.Marshal(&pod)
	if err != nil {
		return nil, fmt.Errorf("encode pod: %w", err)
	}
	return raw, nil
}

func (s Shape) container(name string) corev1.Container {
	container := corev1.Container{
		Name: name, Image: "registry.example.com/team/build:1.2.3",
		Command:                  []string{"/bin/sh", "-ec"},
		Args:                     []string{"make test"},
		ImagePullPolicy:          corev1.PullIfNotPresent,
		TerminationMessagePath:   corev1.TerminationMessagePathDefault,
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}
	for i := range s.Variables {
		container.Env = append(container.Env, corev1.EnvVar{
			Name: fmt.Sprintf("BUILD_SETTING_%04d", i), Value: fmt.Sprintf("a value of the usual length, number %d", i),
		})
	}
	return container
}

// Request is the admission request for a pod to be created.
func Request(raw []byte) admission.Request {
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID:       types.UID("705ab4f5-6393-11e8-b7cc-42010a800002"),
		Kind:      metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
		Resource:  metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		Operation: admissionv1.Create,
		Namespace: "jobs",
		Object:    runtime.RawExtension{Raw: raw},
	}}
}

// Review is the request as the body of a POST.
func Review(raw []byte) ([]byte, error) {
	request := Request(raw)
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request:  &request.AdmissionRequest,
	})
	if err != nil {
		return nil, fmt.Errorf("encode review: %w", err)
	}
	return body, nil
}
