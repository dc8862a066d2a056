package webhook

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestDocsMetrics: the page on metrics has each of the mutator's, with its kind,
// its labels and what its help says.
func TestDocsMetrics(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	NewMetrics(registry, "v1.2.3", time.Now).observe(outcomeMutated, time.Second)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		var labels []string
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, label.GetName())
		}
		row := "| `" + family.GetName() + "` | " + strings.ToLower(family.GetType().String()) + " | " +
			strings.TrimPrefix(strings.Join(labels, ", ")+" | ", " ") + family.GetHelp() + " |\n"
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/metrics.md lacks the row\n%s", row)
		}
	}
	if len(families) != strings.Count(string(page), "\n| `buildkite_mutator_") {
		t.Errorf("%d metrics, and the page has another number of rows", len(families))
	}
}
