package dispatcher

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Outcomes of an attempt to give a job its pod.
const (
	outcomeCreated = "created"
	outcomeExists  = "exists"
	outcomeHeld    = "held"
	outcomeFailed  = "failed"
	outcomeTaken   = "taken"
)

// Operations whose errors are counted.
const (
	operationFail     = "fail-job"
	operationStates   = "job-states"
	operationAnnotate = "annotate"
	operationCreate   = "create-pod"
	operationDelete   = "delete-pod"
)

// metrics are the dispatcher's numbers. Every label has a small fixed set of
// values: queues are those of the configuration, causes and reasons the
// constants of this package.
type metrics struct {
	attempts        *prometheus.CounterVec
	deletions       *prometheus.CounterVec
	losses          *prometheus.CounterVec
	apiErrors       *prometheus.CounterVec
	annotations     *prometheus.CounterVec
	polls           *prometheus.CounterVec
	pollSeconds     prometheus.Histogram
	createSecond    prometheus.Histogram
	queueSeconds    *prometheus.HistogramVec
	dispatchSeconds *prometheus.HistogramVec
	inFlight        *prometheus.GaugeVec
	maxInFlight     *prometheus.GaugeVec
	jobs            *prometheus.GaugeVec
	leader          prometheus.Gauge
	problem         *prometheus.GaugeVec

	// created counts the jobs that got their pod.
	created atomic.Int64

	// defined are all of them, for their page in docs.
	defined []definition
	all     []prometheus.Collector
}

// definition describes a metric to people.
type definition struct {
	name, kind, help string
	labels           []string
}

// Buckets in seconds: of requests, and of waits.
var (
	requestBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	waitBuckets    = []float64{.25, .5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600}
)

// newMetrics makes the metrics and registers them.
func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{}
	m.attempts = m.counters("job_attempts_total", "Attempts to give a job its pod, by outcome and cause.", "outcome", "cause")
	m.queueSeconds = m.histograms("job_queue_seconds", "Time from a job's schedule to the creation of its pod, by Buildkite's clock and ours.", waitBuckets, "queue")
	m.dispatchSeconds = m.histograms("job_dispatch_seconds", "Time from taking a job in hand to the creation of its pod.", requestBuckets, "queue")
	m.jobs = m.gauges("jobs", "Jobs by state: waiting for capacity, held, pending in a pod, running; and by what they wait for.", "queue", "state", "reason")
	m.losses = m.counters("jobs_lost_total", "Jobs whose pod was taken from them while they ran, by cause.", "queue", "cause")
	m.inFlight = m.gauges("pods_in_flight", "Own pods whose agent has not ended; queue (other) is not configured any more.", "queue")
	m.maxInFlight = m.gauges("pods_in_flight_limit", "Most pods in flight; 0 is no limit, and the empty queue is all of them.", "queue")
	m.deletions = m.counters("pod_deletions_total", "Pods deleted, by reason.", "reason")
	m.createSecond = m.histogram("pod_create_duration_seconds", "Time that the creation of a pod took, admission included.")
	m.polls = m.counters("polls_total", "Polls of Buildkite for scheduled jobs, by result.", "result")
	m.pollSeconds = m.histogram("poll_duration_seconds", "Time that a poll took.")
	m.apiErrors = m.counters("api_errors_total", "Requests to Kubernetes and Buildkite that failed, by operation and by status code or kind.", "operation", "code")
	m.annotations = m.counters("build_annotations_total", "Build annotations written and removed.", "action")
	m.problem = m.gauges("problem", "1 while a fault of the platform's or of the configuration holds jobs up, by area.", "area")
	m.leader = m.gauge("leader", "1 while this replica dispatches.")
	registry.MustRegister(m.all...)
	return m
}

const metricsNamespace = "buildkite_dispatcher"

func (m *metrics) define(collector prometheus.Collector, name, kind, help string, labels []string) {
	m.all = append(m.all, collector)
	m.defined = append(m.defined, definition{name: metricsNamespace + "_" + name, kind: kind, help: help, labels: labels})
}

func (m *metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: metricsNamespace, Name: name, Help: help}, labels)
	m.define(vector, name, "counter", help, labels)
	return vector
}

func (m *metrics) gauge(name, help string) prometheus.Gauge {
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: metricsNamespace, Name: name, Help: help})
	m.define(gauge, name, "gauge", help, nil)
	return gauge
}

func (m *metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	vector := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: metricsNamespace, Name: name, Help: help}, labels)
	m.define(vector, name, "gauge", help, labels)
	return vector
}

func (m *metrics) histogram(name, help string) prometheus.Histogram {
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: metricsNamespace, Name: name, Help: help, Buckets: requestBuckets})
	m.define(histogram, name, "histogram", help, nil)
	return histogram
}

func (m *metrics) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	vector := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: metricsNamespace, Name: name, Help: help, Buckets: buckets}, labels)
	m.define(vector, name, "histogram", help, labels)
	return vector
}

// kindOf makes a label of an error: the API server's status code, the kind of a
// problem, or "error".
func kindOf(err error) string {
	var status apierrors.APIStatus
	var problem *Problem
	switch {
	case errors.As(err, &status) && http.StatusText(int(status.Status().Code)) != "":
		return strconv.Itoa(int(status.Status().Code))
	case errors.As(err, &problem):
		return problem.Kind
	default:
		return "error"
	}
}
