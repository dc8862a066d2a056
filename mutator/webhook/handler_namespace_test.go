package webhook

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/buildkite/agent-stack-k8s/mutator"
)

// TestNamespacePolicy: the policy is that of the namespace of the request; the
// pod itself need not name one.
func TestNamespacePolicy(t *testing.T) {
	config, errs := mutator.ParseConfig([]byte("apiVersion: buildkite.com/v1alpha1\nkind: MutatorConfiguration\nagentImage: agent:1\nentrypointImage: entrypoint:1\n" +
		"namespaces: {builders: {policy: {privileged: true}}}\n"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	metrics := NewMetrics(prometheus.NewRegistry(), "test", time.Now)
	handler := NewHandler(config, metrics, slog.New(slog.DiscardHandler))
	const pod = `{"metadata":{"labels":{"buildkite.com/inject":"true"}},"spec":{"containers":[{"name":"a","image":"a","command":["b"],"securityContext":{"privileged":true}}]}}`
	for namespace, want := range map[string]bool{"builders": true, "jobs": false} {
		response := handler.Handle(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
			Kind:      metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Operation: admissionv1.Create,
			Namespace: namespace,
			Object:    runtime.RawExtension{Raw: []byte(pod)},
		}})
		if response.Allowed != want {
			t.Errorf("%s: allowed = %v: %v", namespace, response.Allowed, response.Result)
		}
	}
}
