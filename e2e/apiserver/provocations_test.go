package apiserver

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/cert"

	"github.com/buildkite/agent-stack-k8s/dispatcher"
	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
)

// provocation prepares a stage and returns words of the answer, and what has the
// server give it.
type provocation func(t *testing.T, s *stage) (want string, again func(context.Context) error)

const (
	labelled = `{"labels": {"buildkite.com/inject": "true", "buildkite.com/job-uuid": "01920000-0000-4000-8000-000000000001"}}`
	gated    = `"schedulingGates": [{"name": "buildkite.com/inject"}]`
	halfCPU  = `{"containers": [{"name": "container-0", "image": "example.com/build:1", "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "500m"}}}]}`
)

// provocations are by the names that dispatcher/testdata/answers.yaml has for them.
var provocations = map[string]provocation{
	"quota used up, the pod fits": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.quota(t, "small", "cpu", "2", "1800m")
		return "exceeded quota", s.creates("", halfCPU)
	},
	"quota of pods used up": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.quota(t, "few", "pods", "10", "10")
		return "exceeded quota", s.creates("", "")
	},
	"larger than the whole quota": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.quota(t, "small", "requests.cpu", "2", "0")
		return "exceeded quota", s.creates("", strings.ReplaceAll(halfCPU, "500m", "8"))
	},
	"quota needs resources": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.quota(t, "small", "requests.cpu", "2", "0")
		return "must specify", s.creates("", "")
	},
	"limit range": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "limits"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
		}}}}
		if _, err := s.client.CoreV1().LimitRanges(s.namespace).Create(t.Context(), limits, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		return "maximum cpu usage", s.creates("", strings.ReplaceAll(halfCPU, "500m", "4"))
	},
	"Pod Security": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.label(t, "pod-security.kubernetes.io/enforce", "restricted")
		return "violates PodSecurity", s.creates("", "")
	},
	"priority class": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		return "PriorityClass", s.creates("", `{"priorityClassName": "urgent"}`)
	},
	"runtime class": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		return "RuntimeClass", s.creates("", `{"runtimeClassName": "gvisor"}`)
	},
	"service account": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		return "error looking up service account", s.creates("", `{"serviceAccountName": "builder"}`)
	},
	"service account that no author asked for": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		if err := s.client.CoreV1().ServiceAccounts(s.namespace).Delete(t.Context(), "default", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		return "error looking up service account", s.creates("", "")
	},
	"a policy of the cluster's": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.policy(t, "no-latest", "")
		return "ValidatingAdmissionPolicy 'no-latest'", s.creates("", "")
	},
	"a forbidding policy of the cluster's": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.policy(t, "no-latest-at-all", metav1.StatusReasonForbidden)
		return "ValidatingAdmissionPolicy 'no-latest-at-all'", s.creates("", "")
	},
	"a policy of the cluster's about Buildkite": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.policy(t, "buildkite-images-are-signed", metav1.StatusReasonForbidden)
		return "ValidatingAdmissionPolicy 'buildkite-images-are-signed'", s.creates("", "")
	},
	"our own backstop": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		return "ValidatingAdmissionPolicy 'buildkite-injected'", s.creates(labelled, "")
	},
	"permission": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		return "cannot create resource", s.createsWith(s.withToken(t, ""), "", "")
	},
	"token of the service account is not valid": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		return "Unauthorized", s.createsWith(s.withToken(t, "no-token"), "", "")
	},
	"an unknown refusal": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.webhook(t, webhook{name: "policy.example.com"}, func(w http.ResponseWriter, r *http.Request) {
			refuse(w, r, metav1.Status{Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "ask first"})
		})
		return "denied the request", s.creates("", "")
	},
	"another webhook does not answer": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		server := s.webhook(t, webhook{name: "away.example.com"}, nil)
		server.Close()
		return "connection refused", s.creates("", "")
	},
	"another webhook takes too long": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.webhook(t, webhook{name: "slow.example.com"}, slow)
		return "context deadline exceeded", s.creates("", "")
	},
	"another webhook's certificate is not trusted": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.webhook(t, webhook{name: "untrusted.example.com", isUntrusted: true}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
		return "x509", s.creates("", "")
	},
	"another webhook answers garbage": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.webhook(t, webhook{name: "garbage.example.com"}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
		return "failed calling webhook", s.creates("", "")
	},
	"namespace is missing": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		s.namespace = "jobs-that-are-not-there"
		return "not found", s.creates("", "")
	},
	"namespace is going": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		// Nobody takes its finalizer off.
		if err := s.client.CoreV1().Namespaces().Delete(t.Context(), s.namespace, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		return "being terminated", s.creates("", "")
	},
	"it exists": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		if _, err := dispatcher.NewPodClient(s.client, nil).Submit(t.Context(), s.pod("", "")); err != nil {
			t.Fatal(err)
		}
		return "already exists", s.creates("", "")
	},
	"mutator does not answer": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.namespace = controlplane.JobNamespace
		if err := s.plane.StopMutator(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.plane.StartMutator(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		return "failed calling webhook", s.creates(labelled, `{`+gated+`}`)
	},
	"mutator refuses": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		s.namespace = controlplane.JobNamespace
		return "reserved", s.creates(labelled, `{`+gated+`, "containers": [{"name": "agent", "image": "example.com/build:1"}]}`)
	},
	"typing error": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		return "unknown field", s.creates("", `{"containers": [{"name": "container-0", "imagee": "example.com/build:1"}]}`)
	},
	"invalid pod": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		return "containerPort", s.creates("", `{"containers": [{"name": "container-0", "image": "a", "ports": [{"name": "http"}]}]}`)
	},
	"no mutator gave the container its image": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		return "spec.containers[0].image", s.creates("", `{"containers": [{"name": "container-0"}]}`)
	},
	"no mutator removed the gate": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		return "schedulingGates", s.creates("", `{`+gated+`, "nodeName": "node"}`)
	},
	"two mistakes, one of them the author's": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		return "spec.initContainers[0].image", s.creates("", `{"containers": [{"name": "container-0"}], "initContainers": [{"name": "first"}]}`)
	},
	"too large for etcd": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		return "too large", s.creates("", `{"containers": [{"name": "container-0", "image": "a", "args": ["`+strings.Repeat("x", 1700<<10)+`"]}]}`)
	},
	"too large for the API server": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		return "too large", s.creates("", `{"containers": [{"name": "container-0", "image": "a", "args": ["`+strings.Repeat("x", 4<<20)+`"]}]}`)
	},
	"too many requests": func(t *testing.T, s *stage) (string, func(context.Context) error) {
		s.starve(t)
		// One request is let through at a time, so it has to take some.
		s.webhook(t, webhook{name: "slow-at-once.example.com"}, slow)
		return "Too many requests", s.createsAtOnce(s.withToken(t, ""))
	},
	"PodTemplate that is not there": func(_ *testing.T, s *stage) (string, func(context.Context) error) {
		pods := dispatcher.NewPodClient(s.client, nil)
		return "podtemplates", func(ctx context.Context) error {
			_, err := pods.Template(ctx, s.namespace, "base")
			return err
		}
	},
}

// quota makes a quota whose use is written down: no controller counts here.
func (s *stage) quota(t *testing.T, name string, what corev1.ResourceName, hard, used string) {
	t.Helper()
	limit := corev1.ResourceList{what: resource.MustParse(hard)}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ResourceQuotaSpec{Hard: limit}}
	made, err := s.client.CoreV1().ResourceQuotas(s.namespace).Create(t.Context(), quota, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Status = corev1.ResourceQuotaStatus{Hard: limit, Used: corev1.ResourceList{what: resource.MustParse(used)}}
	if _, err := s.client.CoreV1().ResourceQuotas(s.namespace).UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// here selects the stage's namespace.
func (s *stage) here() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}}
}

func podCreations() admissionregistrationv1.RuleWithOperations {
	return admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
	}
}

// policy refuses every pod of the stage.
func (s *stage) policy(t *testing.T, name string, reason metav1.StatusReason) {
	t.Helper()
	policies := s.client.AdmissionregistrationV1()
	validation := admissionregistrationv1.Validation{Expression: "false", Message: "images need a tag"}
	if reason != "" {
		validation.Reason = &reason
	}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: podCreations()}}},
			Validations:      []admissionregistrationv1.Validation{validation},
		},
	}
	if _, err := policies.ValidatingAdmissionPolicies().Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			MatchResources: &admissionregistrationv1.MatchResources{NamespaceSelector: s.here()},
		},
	}
	if _, err := policies.ValidatingAdmissionPolicyBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// webhook is a validating webhook of somebody's.
type webhook struct {
	name string
	// isUntrusted has the API server trust another certificate.
	isUntrusted bool
}

// webhook registers one for the stage's pods.
func (s *stage) webhook(t *testing.T, what webhook, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if what.isUntrusted {
		var err error
		if bundle, _, err = cert.GenerateSelfSignedCertKey("somebody.example.com", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	none, seconds := admissionregistrationv1.SideEffectClassNone, int32(2)
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: what.name},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: what.name, AdmissionReviewVersions: []string{"v1"}, SideEffects: &none, TimeoutSeconds: &seconds, NamespaceSelector: s.here(),
			Rules:        []admissionregistrationv1.RuleWithOperations{podCreations()},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: new(server.URL + "/validate"), CABundle: bundle},
		}},
	}
	if _, err := s.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), configuration, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return server
}

// slow answers no review in time.
func slow(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-r.Context().Done():
	case <-time.After(10 * time.Second):
	}
}

// refuse answers a review.
func refuse(w http.ResponseWriter, r *http.Request, status metav1.Status) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		panic(err)
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &status}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(review); err != nil {
		panic(err)
	}
}

// createsAtOnce sends many creations at once, without the library's own second tries,
// and returns what the first said that was refused for that.
func (s *stage) createsAtOnce(client kubernetes.Interface) func(context.Context) error {
	body, err := s.pod("", "").MarshalJSON()
	if err != nil {
		panic(err)
	}
	return func(ctx context.Context) error {
		const count = 10
		errs := make(chan error, count)
		for range count {
			go func() {
				errs <- client.CoreV1().RESTClient().Post().Namespace(s.namespace).Resource("pods").
					SetHeader("Content-Type", "application/json").Body(body).MaxRetries(0).Do(ctx).Error()
			}()
		}
		var last error
		for range count {
			if err := <-errs; last == nil || apierrors.IsTooManyRequests(err) {
				last = err
			}
		}
		return last
	}
}

// starve leaves the dispatcher's service account no part of the API server's time
// but for one request at a time.
func (s *stage) starve(t *testing.T) {
	t.Helper()
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "all"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: controlplane.SystemNamespace, Name: "dispatcher"}},
	}
	if _, err := s.client.RbacV1().RoleBindings(s.namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	level := &flowcontrolv1.PriorityLevelConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "none"},
		Spec: flowcontrolv1.PriorityLevelConfigurationSpec{
			Type: flowcontrolv1.PriorityLevelEnablementLimited,
			Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{
				NominalConcurrencyShares: new(int32(0)), LendablePercent: new(int32(0)), BorrowingLimitPercent: new(int32(0)),
				LimitResponse: flowcontrolv1.LimitResponse{Type: flowcontrolv1.LimitResponseTypeReject},
			},
		},
	}
	if _, err := s.client.FlowcontrolV1().PriorityLevelConfigurations().Create(t.Context(), level, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	schema := &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: "none"},
		Spec: flowcontrolv1.FlowSchemaSpec{
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: "none"}, MatchingPrecedence: 10,
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects: []flowcontrolv1.Subject{{
					Kind:           flowcontrolv1.SubjectKindServiceAccount,
					ServiceAccount: &flowcontrolv1.ServiceAccountSubject{Namespace: controlplane.SystemNamespace, Name: "dispatcher"},
				}},
				ResourceRules: []flowcontrolv1.ResourcePolicyRule{{
					Verbs: []string{"create"}, APIGroups: []string{""}, Resources: []string{"pods"}, Namespaces: []string{s.namespace},
				}},
			}},
		},
	}
	if _, err := s.client.FlowcontrolV1().FlowSchemas().Create(t.Context(), schema, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
