package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// outcome is what became of a review.
type outcome string

const (
	outcomeMutated   outcome = "mutated"
	outcomeUnchanged outcome = "unchanged"
	outcomeDenied    outcome = "denied"
	outcomeError     outcome = "error"
	// outcomeBusy is a review that was turned away because too many were
	// under way.
	outcomeBusy outcome = "busy"
)

// Metrics are the webhook's.
type Metrics struct {
	reviews  *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewMetrics registers the webhook's metrics. notAfter returns when the serving
// certificate expires.
func NewMetrics(registry prometheus.Registerer, version string, notAfter func() time.Time) *Metrics {
	metrics := &Metrics{
		reviews: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "buildkite_mutator_reviews_total",
			Help: "Admission reviews by outcome: mutated, unchanged, denied, error, busy.",
		}, []string{"outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "buildkite_mutator_review_duration_seconds",
			Help:    "Time to decide about a review and to make its patch.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5},
		}, []string{"outcome"}),
	}
	expiry := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "buildkite_mutator_certificate_expiry_timestamp_seconds",
		Help: "When the serving certificate expires, in seconds since 1970.",
	}, func() float64 { return float64(notAfter().Unix()) })
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "buildkite_mutator_build_info",
		Help:        "1, labelled with the version.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	registry.MustRegister(metrics.reviews, metrics.duration, expiry, build)
	for _, outcome := range []outcome{outcomeMutated, outcomeUnchanged, outcomeDenied, outcomeError, outcomeBusy} {
		metrics.reviews.WithLabelValues(string(outcome))
	}
	return metrics
}

func (m *Metrics) observe(outcome outcome, duration time.Duration) {
	m.reviews.WithLabelValues(string(outcome)).Inc()
	m.duration.WithLabelValues(string(outcome)).Observe(duration.Seconds())
}
