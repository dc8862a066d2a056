package webhook

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// FuzzHandler posts bytes as the body of a review. Whatever they are, there is an
// answer, nothing panics, no mistake of a pod's creator becomes a fault of ours,
// and a patch makes a pod that a second review lets through as it is.
func FuzzHandler(f *testing.F) {
	for _, body := range reviewSeeds(f) {
		f.Add(body)
	}
	handler := Limit(1, NewMetrics(prometheus.NewRegistry(), "", time.Now),
		&admission.Webhook{Handler: NewHandler(testConfig(f), NewMetrics(prometheus.NewRegistry(), "", time.Now), slog.New(slog.DiscardHandler))})
	f.Fuzz(func(t *testing.T, body []byte) {
		response := postReview(t, handler, body)
		if response.Result != nil && response.Result.Code == http.StatusInternalServerError {
			t.Fatalf("an internal error: %s", response.Result.Message)
		}
		if len(response.Patch) == 0 {
			return
		}
		var asked admissionv1.AdmissionReview
		if err := kjson.Unmarshal(body, &asked); err != nil {
			t.Fatalf("patched what is no review: %v", err)
		}
		patched := applied(t, asked.Request.Object.Raw, response.Patch)
		var pod corev1.Pod
		if err := kjson.Unmarshal(patched, &pod); err != nil {
			t.Fatalf("the patched pod cannot be decoded: %v", err)
		}
		asked.Request.Object.Raw = patched
		again, err := json.Marshal(asked)
		if err != nil {
			t.Fatal(err)
		}
		if second := postReview(t, handler, again); !second.Allowed || len(second.Patch) > 0 {
			t.Fatalf("second review: allowed %t, patch %s, result %v", second.Allowed, second.Patch, second.Result)
		}
	})
}

// postReview returns the answer to a body.
func postReview(t *testing.T, handler http.Handler, body []byte) *admissionv1.AdmissionResponse {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, Path, bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	if recorder.Code != http.StatusOK {
		t.Fatalf("status %d: %s", recorder.Code, recorder.Body)
	}
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
		t.Fatalf("answer %q: %v", recorder.Body, err)
	}
	if answer.Response == nil {
		t.Fatalf("answer without a response: %s", recorder.Body)
	}
	return answer.Response
}

// reviewSeeds are reviews of the golden pods, before and after, and others that
// are wrong in every part.
func reviewSeeds(f *testing.F) [][]byte {
	f.Helper()
	bodies := [][]byte{
		nil, []byte("null"), []byte("{}"), []byte(`{"request":null}`), []byte(`{"request":{"object":null}}`),
		[]byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`),
		[]byte(`{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","kind":{"kind":"Pod"},"object":{"spec":{"containers":[null]}}}}`),
		[]byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","kind":{"kind":"Pod"},"object":` + strings.Repeat(`{"a":`, 200) + `1` + strings.Repeat("}", 200) + `}}`),
		[]byte("apiVersion: admission.k8s.io/v1\nkind: AdmissionReview\nrequest: {uid: a}\n"),
	}
	files, err := filepath.Glob("../testdata/*.*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no golden pods: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		body, err := json.Marshal(admissionv1.AdmissionReview{
			TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
			Request: &admissionv1.AdmissionRequest{
				UID: "1", Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, Operation: admissionv1.Create, Namespace: "jobs",
				Object: runtime.RawExtension{Raw: podJSON(f, string(text))},
			},
		})
		if err != nil {
			f.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}
