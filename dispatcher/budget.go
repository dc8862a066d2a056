package dispatcher

import (
	"math"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// budgetMetrics tell what is left of the allowance of a Source that has one.
type budgetMetrics struct {
	reader BudgetReader
	// jobs counts the jobs that have got their pod.
	jobs *atomic.Int64
}

// budgetDefinitions describe the budget's metrics, in the order of Collect.
var budgetDefinitions = []definition{
	{name: metricsNamespace + "_graphql_points_left", kind: "gauge", help: "Points left in the current window for all who use the API token, by Buildkite's last word."},
	{name: metricsNamespace + "_graphql_points_limit", kind: "gauge", help: "Points granted for each window."},
	{name: metricsNamespace + "_graphql_points_used_total", kind: "counter", help: "Points that this program has used."},
	{name: metricsNamespace + "_graphql_points_per_job", kind: "gauge", help: "Points used for each pod created, since the start."},
	{name: metricsNamespace + "_graphql_exhaustion_seconds", kind: "gauge", help: "Time until no points are left if this program goes on as it does; +Inf if it uses none."},
}

var _ prometheus.Collector = (*budgetMetrics)(nil)

func (d definition) desc() *prometheus.Desc {
	return prometheus.NewDesc(d.name, d.help, nil, nil)
}

// Describe implements prometheus.Collector.
func (b *budgetMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range budgetDefinitions {
		out <- d.desc()
	}
}

// Collect implements prometheus.Collector. Nothing is told before Buildkite has.
func (b *budgetMetrics) Collect(out chan<- prometheus.Metric) {
	state := b.reader.Budget()
	if state.Limit == 0 {
		return
	}
	used := float64(state.Used)
	values := []float64{float64(state.Left), float64(state.Limit), used, used / float64(max(1, b.jobs.Load())), math.Inf(1)}
	if state.PerSecond > 0 {
		values[4] = float64(state.Left) / state.PerSecond
	}
	for i, d := range budgetDefinitions {
		kind := prometheus.GaugeValue
		if d.kind == "counter" {
			kind = prometheus.CounterValue
		}
		out <- prometheus.MustNewConstMetric(d.desc(), kind, values[i])
	}
}
