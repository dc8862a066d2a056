package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
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
	response, outcome := h.review(request)
	h.metrics.observe(outcome, time.Since(start))
	level := slog.LevelDebug
	if outcome == outcomeDenied || outcome == outcomeError {
		level = slog.LevelInfo
	}
	h.log.LogAttrs(ctx, level, "reviewed pod",
		slog.String("namespace", request.Namespace),
		slog.String("pod", nameOf(request)),
		slog.String("outcome", string(outcome)),
		slog.Duration("duration", time.Since(start)))
	return response
}

// review decides about one request.
func (h *Handler) review(request admission.Request) (admission.Response, outcome) {
	if request.Operation != admissionv1.Create || request.Kind.Kind != "Pod" {
		return admission.Allowed(""), outcomeUnchanged
	}
	raw := request.Object.Raw
	if err := checkSize(raw); err != nil {
		return denied(request, field.ErrorList{err}), outcomeDenied
	}
	var pod corev1.Pod
	if err := kjson.Unmarshal(raw, &pod); err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("decode pod: %w", err)), outcomeError
	}
	result, errs := h.config.Mutate(&pod)
	if len(errs) > 0 {
		return denied(request, errs), outcomeDenied
	}
	response := admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Allowed:          true,
		Warnings:         result.Warnings,
		AuditAnnotations: result.AuditAnnotations,
	}}
	if !result.Changed {
		return response, outcomeUnchanged
	}
	operations, err := patch.CreateKeeping(raw, &pod, result.Originals)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err), outcomeError
	}
	response.Patches = operations
	return response, outcomeMutated
}

// denied is a refusal that says what the creator of the pod did wrong, each
// fault with its path.
func denied(request admission.Request, errs field.ErrorList) admission.Response {
	status := apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, nameOf(request), errs).Status()
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Allowed:          false,
		Result:           &status,
		AuditAnnotations: map[string]string{"outcome": string(outcomeDenied)},
	}}
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
func nameOf(request admission.Request) string {
	if request.Name != "" {
		return request.Name
	}
	var pod struct {
		Metadata struct {
			Name         string `json:"name"`
			GenerateName string `json:"generateName"`
		} `json:"metadata"`
	}
	if kjson.Unmarshal(request.Object.Raw, &pod) != nil {
		return ""
	}
	if pod.Metadata.Name != "" {
		return pod.Metadata.Name
	}
	return pod.Metadata.GenerateName
}
