package webhook

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// TestUpdate sends updates of an injected pod, as the API server does.
func TestUpdate(t *testing.T) {
	server, _ := newTestServer(t)
	written := []byte(`{"metadata":{"name":"a"},"spec":{"containers":[{"name":"job","image":"i","command":["make"],"tomorrow":1}],"restartPolicy":"Never"}}`)
	created := review(t, server.Client(), server.URL, written)
	old := applied(t, written, created.Patch)
	for name, tc := range map[string]struct {
		command, want []string
		patched       bool
	}{
		"the same again":  {[]string{"make"}, []string{"/buildkite/bin/entrypoint"}, true},
		"another command": {[]string{"rm"}, []string{"rm"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var pod corev1.Pod
			if err := json.Unmarshal(old, &pod); err != nil {
				t.Fatal(err)
			}
			pod.Spec.Containers[0].Command = tc.command
			raw, err := json.Marshal(&pod)
			if err != nil {
				t.Fatal(err)
			}
			answer := reviewUpdate(t, server.Client(), server.URL, old, raw)
			if !answer.Allowed || len(answer.Patch) > 0 != tc.patched {
				t.Fatalf("allowed %t, patch %s", answer.Allowed, answer.Patch)
			}
			if tc.patched {
				raw = applied(t, raw, answer.Patch)
			}
			if err := json.Unmarshal(raw, &pod); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(pod.Spec.Containers[0].Command, tc.want) {
				t.Errorf("command %q, want %q", pod.Spec.Containers[0].Command, tc.want)
			}
		})
	}
}

func reviewUpdate(t *testing.T, client *http.Client, url string, old, raw []byte) *admissionv1.AdmissionResponse {
	t.Helper()
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "1", Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, Operation: admissionv1.Update, Namespace: "jobs",
			Object: runtime.RawExtension{Raw: raw}, OldObject: runtime.RawExtension{Raw: old},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer admissionv1.AdmissionReview
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Response
}
