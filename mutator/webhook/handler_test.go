package webhook

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	operations "gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/patch"
)

func testConfig(tb testing.TB) mutator.Config {
	tb.Helper()
	config, errs := mutator.ParseConfig([]byte("apiVersion: buildkite.com/v1alpha1\nkind: MutatorConfiguration\nagentImage: agent:1\nentrypointImage: entrypoint:1\n"))
	if len(errs) > 0 {
		tb.Fatal(errs.ToAggregate())
	}
	config.Version = "test"
	return config
}

func newTestServer(tb testing.TB) (*httptest.Server, *prometheus.Registry) {
	tb.Helper()
	registry := prometheus.NewRegistry()
	metrics := NewMetrics(registry, "test", func() time.Time { return time.Unix(1, 0) })
	handler := &admission.Webhook{Handler: NewHandler(testConfig(tb), metrics, slog.New(slog.DiscardHandler))}
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	return server, registry
}

// review sends a pod to be created and returns the answer.
func review(tb testing.TB, client *http.Client, url string, raw []byte) *admissionv1.AdmissionResponse {
	tb.Helper()
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID:       "1",
			Kind:      metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Operation: admissionv1.Create,
			Namespace: "jobs",
			Object:    runtime.RawExtension{Raw: raw},
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	response, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		tb.Fatalf("status %s", response.Status)
	}
	var answer admissionv1.AdmissionReview
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		tb.Fatal(err)
	}
	if answer.Response.UID != "1" {
		tb.Errorf("response UID = %q, want 1", answer.Response.UID)
	}
	return answer.Response
}

func podJSON(tb testing.TB, text string) []byte {
	tb.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// TestHandlerMutates sends a golden input, applies the answer as the API server
// does, and sends the result again.
func TestHandlerMutates(t *testing.T) {
	server, _ := newTestServer(t)
	text, err := os.ReadFile("../testdata/dispatched-plugin.in.yaml")
	if err != nil {
		t.Fatal(err)
	}
	raw := podJSON(t, strings.Replace(string(text), "    image: golang:1", "    image: golang:1\n    fieldOfTomorrow: kept", 1))
	response := review(t, server.Client(), server.URL, raw)
	if !response.Allowed {
		t.Fatalf("refused: %v", response.Result)
	}
	patched := applied(t, raw, response.Patch)
	var want corev1.Pod
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	result, errs := testConfig(t).Mutate(&want)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	var got corev1.Pod
	if err := json.Unmarshal(patched, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("patched pod (-core +webhook):\n%s", diff)
	}
	if diff := cmp.Diff(result.Warnings, response.Warnings); diff != "" {
		t.Errorf("warnings (-core +webhook):\n%s", diff)
	}
	if diff := cmp.Diff(result.AuditAnnotations, response.AuditAnnotations); diff != "" {
		t.Errorf("audit annotations (-core +webhook):\n%s", diff)
	}
	for _, field := range []string{`"fieldOfTomorrow":"kept"`, `"fieldOfTomorrow":{"a":1}`} {
		if strings.Count(string(patched), field) != 1 {
			t.Errorf("patched pod does not have %s once", field)
		}
	}
	again := review(t, server.Client(), server.URL, patched)
	if !again.Allowed || len(again.Patch) > 0 {
		t.Errorf("second review: allowed %t, patch %s, want allowed without a patch", again.Allowed, again.Patch)
	}
}

// applied applies a response's patch to a document.
func applied(t *testing.T, raw, encoded []byte) []byte {
	t.Helper()
	var list []operations.Operation
	if err := json.Unmarshal(encoded, &list); err != nil {
		t.Fatal(err)
	}
	patched, err := patch.Apply(raw, list)
	if err != nil {
		t.Fatal(err)
	}
	return patched
}

func TestHandlerRefuses(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70)
	cases := map[string]struct {
		raw  string
		code int32
		want string
	}{
		"user's mistake": {
			raw:  `{"metadata":{"generateName":"mine-"},"spec":{"containers":[{"name":"agent"}],"restartPolicy":"Never"}}`,
			code: 422,
			want: `Pod "mine-" is invalid: spec.containers[0].name: Invalid value: "agent": reserved for an injected container; rename yours`,
		},
		"too deep":  {raw: `{"spec":` + deep + `}`, code: 422, want: "nested more than 64 levels deep"},
		"too large": {raw: `{"spec":{"containers":[{"name":"` + strings.Repeat("a", maxPodBytes) + `"}]}}`, code: 422, want: "Too long: may not be more than 1048576 bytes"},
		"no pod":    {raw: `{"spec":{"containers":1}}`, code: 400, want: "decode pod: "},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server, _ := newTestServer(t)
			response := review(t, server.Client(), server.URL, []byte(tc.raw))
			if response.Allowed || response.Result == nil {
				t.Fatal("the pod was allowed")
			}
			if response.Result.Code != tc.code || !strings.Contains(response.Result.Message, tc.want) {
				t.Errorf("refused with %d %q, want %d %q", response.Result.Code, response.Result.Message, tc.code, tc.want)
			}
			if tc.code != 422 {
				return
			}
			if response.Result.Details == nil || len(response.Result.Details.Causes) == 0 {
				t.Fatal("the refusal names no cause")
			}
			audit := response.AuditAnnotations
			if audit["outcome"] != "denied" || audit["version"] != "test" || audit["config"] != testConfig(t).Digest() {
				t.Errorf("audit annotations %v, want the outcome, the version and the configuration", audit)
			}
			if cause := response.Result.Details.Causes[0]; !strings.HasPrefix(audit["reasons"], cause.Field+": ") {
				t.Errorf("audited reasons %q, want them to begin with %s", audit["reasons"], cause.Field)
			}
		})
	}
}

func TestHandlerIgnoresOtherRequests(t *testing.T) {
	handler := NewHandler(testConfig(t), NewMetrics(prometheus.NewRegistry(), "", time.Now), slog.New(slog.DiscardHandler))
	for name, request := range map[string]admissionv1.AdmissionRequest{
		"update":       {Operation: admissionv1.Update, Kind: metav1.GroupVersionKind{Kind: "Pod"}},
		"another kind": {Operation: admissionv1.Create, Kind: metav1.GroupVersionKind{Kind: "Deployment"}},
	} {
		response := handler.Handle(t.Context(), admission.Request{AdmissionRequest: request})
		if !response.Allowed || len(response.Patch) > 0 {
			t.Errorf("%s: allowed %t, patch %s, want allowed without", name, response.Allowed, response.Patch)
		}
	}
}

// reviewsByOutcome reads the counter.
func reviewsByOutcome(tb testing.TB, registry *prometheus.Registry) map[outcome]float64 {
	tb.Helper()
	families, err := registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	got := map[outcome]float64{}
	for _, metric := range find(tb, families, "buildkite_mutator_reviews_total").GetMetric() {
		got[outcome(metric.GetLabel()[0].GetValue())] = metric.GetCounter().GetValue()
	}
	return got
}

// find returns the metric family of a name.
func find[T interface{ GetName() string }](tb testing.TB, families []T, name string) (found T) {
	tb.Helper()
	for _, family := range families {
		if family.GetName() == name {
			return family
		}
	}
	tb.Fatalf("no metric %s", name)
	return found
}

func TestMetrics(t *testing.T) {
	server, registry := newTestServer(t)
	review(t, server.Client(), server.URL, []byte(`{"spec":{"containers":[{"name":"a","image":"b"}]}}`))
	review(t, server.Client(), server.URL, []byte(`{"spec":{"containers":[{"name":"agent"}]}}`))
	review(t, server.Client(), server.URL, []byte(`{"spec":{"containers":1}}`))
	want := map[outcome]float64{outcomeMutated: 1, outcomeUnchanged: 0, outcomeDenied: 1, outcomeError: 1, outcomeBusy: 0}
	if diff := cmp.Diff(want, reviewsByOutcome(t, registry)); diff != "" {
		t.Errorf("reviews (-want +got):\n%s", diff)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	durations := find(t, families, "buildkite_mutator_review_duration_seconds").GetMetric()
	if len(durations) != 3 {
		t.Errorf("durations of %d outcomes, want 3", len(durations))
	}
	for _, metric := range durations {
		if count, first := metric.GetHistogram().GetSampleCount(), metric.GetHistogram().GetBucket()[0].GetUpperBound(); count != 1 || first != 0.0005 {
			t.Errorf("%v: %d reviews, first bucket to %g s, want 1 and 0.0005", metric.GetLabel(), count, first)
		}
	}
	if got := find(t, families, "buildkite_mutator_certificate_expiry_timestamp_seconds").GetMetric()[0].GetGauge().GetValue(); got != 1 {
		t.Errorf("certificate expires at %g, want 1", got)
	}
	if got := find(t, families, "buildkite_mutator_build_info").GetMetric()[0].GetLabel()[0].GetValue(); got != "test" {
		t.Errorf("version %q, want test", got)
	}
}
