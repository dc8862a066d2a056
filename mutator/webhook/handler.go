package webhook

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/depth"
	"github.com/buildkite/agent-stack-k8s/mutator/patch"
)

// maxPodBytes leaves room for what we add below etcd's 1.5 MiB per object,
// beyond which the API server answers a 500 that names no cause.
const maxPodBytes = 1 << 20

// Handler answers admission reviews of pods.
type Handler struct {
	config  mutator.Config
	metrics *Metrics
	log     *slog.Logger
}

var _ admission.Handler = (*Handler)(nil)

// NewHandler returns the handler for a configuration.
func NewHandler(config mutator.Config, metrics *Metrics, log *slog.Logger) *Handler {
	return &Handler{config: config, metrics: metrics, log: log}
}

// Handle implements admission.Handler.
func (h *Handler) Handle(ctx context.Context, request admission.Request) admission.Response {
	start := time.Now()
	var pod corev1.Pod
	response, outcome := h.review(request, &pod)
	h.metrics.observe(outcome, time.Since(start))
	level := slog.LevelDebug
	if outcome == outcomeDenied || outcome == outcomeError {
		level = slog.LevelInfo
	}
	h.log.LogAttrs(ctx, level, "reviewed pod",
		slog.String("namespace", request.Namespace),
		slog.String("pod", nameOf(request, &pod)),
		slog.String("outcome", string(outcome)),
		slog.Duration("duration", time.Since(start)))
	return response
}

// review decides about one request, whose pod it decodes.
func (h *Handler) review(request admission.Request, pod *corev1.Pod) (admission.Response, outcome) {
	if request.Operation == admissionv1.Update && request.Kind.Kind == "Pod" && request.SubResource == "" {
		return h.reviewUpdate(request, pod)
	}
	if request.Operation != admissionv1.Create || request.Kind.Kind != "Pod" {
		return admission.Allowed(""), outcomeUnchanged
	}
	raw := request.Object.Raw
	if err := checkSize(raw); err != nil {
		return h.denied(nameOf(request, pod), field.ErrorList{err}), outcomeDenied
	}
	if err := kjson.Unmarshal(raw, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("decode pod: %w", err)), outcomeError
	}
	before := *pod
	result, errs := h.config.ForNamespace(request.Namespace).Mutate(pod)
	if len(errs) > 0 {
		return h.denied(nameOf(request, pod), errs), outcomeDenied
	}
	response := admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Allowed:          true,
		Warnings:         result.Warnings,
		AuditAnnotations: result.AuditAnnotations,
	}}
	if !result.Changed {
		return response, outcomeUnchanged
	}
	options := patch.Options{Before: &before, Originals: result.Originals, Condense: true}
	operations, err := options.Create(raw, pod)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err), outcomeError
	}
	if response.Patch, err = patch.Encode(operations); err != nil {
		return admission.Errored(http.StatusInternalServerError, err), outcomeError
	}
	response.PatchType = new(admissionv1.PatchTypeJSONPatch)
	return response, outcomeMutated
}

// denied is a refusal that says what the creator of the pod did wrong, each
// fault with its path.
func (h *Handler) denied(name string, errs field.ErrorList) admission.Response {
	status := apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, name, errs).Status()
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Allowed: false,
		Result:  &status,
		AuditAnnotations: map[string]string{
			"outcome": string(outcomeDenied),
			"version": h.config.Version,
			"config":  h.config.Digest(),
			"reasons": reasons(errs),
		},
	}}
}

// maxReasonBytes keeps the audit log's lines readable.
const maxReasonBytes = 2 << 10

// reasons joins sentences for the audit log.
func reasons(errs field.ErrorList) string {
	sentences := make([]string, len(errs))
	for i, err := range errs {
		sentences[i] = err.Error()
	}
	text := strings.Join(sentences, "; ")
	if len(text) > maxReasonBytes {
		text = strings.ToValidUTF8(text[:maxReasonBytes], "") + "..."
	}
	return text
}

// checkSize refuses pods that could not be stored, or that cost too much to read.
func checkSize(raw []byte) *field.Error {
	if len(raw) > maxPodBytes {
		return field.TooLong(field.NewPath("spec"), "", maxPodBytes)
	}
	if depth.Of(raw) > depth.Max {
		return field.Invalid(field.NewPath("spec"), field.OmitValueType{}, fmt.Sprintf("nested more than %d levels deep", depth.Max))
	}
	return nil
}

// nameOf is the pod's name, or how its creator wants one generated.
func nameOf(request admission.Request, pod *corev1.Pod) string {
	return cmp.Or(request.Name, pod.Name, pod.GenerateName)
}
