package dispatcher

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Outcomes of an attempt to give a job its pod.
const (
	outcomeCreated = "created"
	outcomeExists  = "exists"
	outcomeHeld    = "held"
	outcomeFailed  = "failed"
	outcomeTaken   = "taken"
)

// metrics are the dispatcher's numbers. Every label has a small fixed set of
// values.
type metrics struct {
	attempts     *prometheus.CounterVec
	deletions    *prometheus.CounterVec
	polls        *prometheus.CounterVec
	pollSeconds  prometheus.Histogram
	createSecond prometheus.Histogram
	inFlight     prometheus.Gauge
	maxInFlight  prometheus.Gauge
	held         prometheus.Gauge
	leader       prometheus.Gauge
}

// newMetrics makes the metrics and registers them.
func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		attempts:     counters("job_attempts_total", "Attempts to give a job its pod, by outcome and cause.", "outcome", "cause"),
		deletions:    counters("pod_deletions_total", "Pods deleted, by reason.", "reason"),
		polls:        counters("polls_total", "Polls of Buildkite for scheduled jobs, by result.", "result"),
		pollSeconds:  histogram("poll_duration_seconds", "Time that a poll took."),
		createSecond: histogram("pod_create_duration_seconds", "Time that the creation of a pod took, admission included."),
		inFlight:     gauge("pods_in_flight", "Own pods whose agent has not ended."),
		maxInFlight:  gauge("pods_in_flight_limit", "Most pods in flight; 0 is no limit."),
		held:         gauge("jobs_held", "Jobs that wait before the next attempt."),
		leader:       gauge("leader", "1 while this replica dispatches."),
	}
	registry.MustRegister(m.attempts, m.deletions, m.polls, m.pollSeconds, m.createSecond, m.inFlight, m.maxInFlight, m.held, m.leader)
	return m
}

const metricsNamespace = "buildkite_dispatcher"

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: metricsNamespace, Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: metricsNamespace, Name: name, Help: help})
}

func histogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: metricsNamespace, Name: name, Help: help,
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	})
}
