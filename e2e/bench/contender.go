package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	kubescheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/buildkite/agent-stack-k8s/mutator"
	"github.com/buildkite/agent-stack-k8s/mutator/webhook"
)

// Contender is a way of answering reviews.
type Contender struct {
	Name    string
	Webhook *admission.Webhook
	// Metrics are the contender's, for the server around it.
	Metrics *webhook.Metrics
}

const configuration = `
apiVersion: buildkite.com/v1alpha1
kind: MutatorConfiguration
agentImage: ghcr.io/buildkite/agent:3.138.1
entrypointImage: ghcr.io/buildkite/agent-stack-k8s/entrypoint:latest
`

// The contenders' names.
const (
	// Mutator is the webhook as it is served.
	Mutator = "mutator"
	// Copying is a Defaulter that does no work of its own: it has the finished
	// pod, and copies it. No Defaulter that makes these additions takes less.
	Copying = "Defaulter, additions ready"
	// Wrapping is a Defaulter that calls the mutator for the additions.
	Wrapping = "Defaulter, same mutator"
)

// Contenders are the mutator and two webhooks on controller-runtime's Defaulter
// that make the same pod of raw.
func Contenders(raw []byte) ([]Contender, error) {
	config, errs := mutator.ParseConfig([]byte(configuration))
	if len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	config.Version = "bench"
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		return nil, fmt.Errorf("decode pod: %w", err)
	}
	if _, errs := config.Mutate(&pod); len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	own := newMetrics()
	return []Contender{
		{Mutator, &admission.Webhook{Handler: webhook.NewHandler(config, own, slog.New(slog.DiscardHandler))}, own},
		{Copying, admission.WithDefaulter(kubescheme.Scheme, copying{finished: &pod}), newMetrics()},
		{Wrapping, admission.WithDefaulter(kubescheme.Scheme, wrapping{config: config}), newMetrics()},
	}, nil
}

func newMetrics() *webhook.Metrics {
	return webhook.NewMetrics(prometheus.NewRegistry(), "bench", time.Now)
}

type copying struct{ finished *corev1.Pod }

// Default implements admission.Defaulter.
func (c copying) Default(_ context.Context, pod *corev1.Pod) error {
	c.finished.DeepCopyInto(pod)
	return nil
}

type wrapping struct{ config mutator.Config }

// Default implements admission.Defaulter.
func (w wrapping) Default(_ context.Context, pod *corev1.Pod) error {
	if _, errs := w.config.Mutate(pod); len(errs) > 0 {
		return errs.ToAggregate()
	}
	return nil
}
