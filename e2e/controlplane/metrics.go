package controlplane

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Metrics are the samples of a page in Prometheus' text format, by name with
// labels as it is written there.
type Metrics map[string]float64

// ReadMetrics asks an address for its metrics.
func ReadMetrics(ctx context.Context, url string) (Metrics, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read metrics of %s: %s", url, response.Status)
	}
	return parseMetrics(response.Body)
}

// APIServerMetrics reads those of the API server.
func (p *Plane) APIServerMetrics(ctx context.Context) (Metrics, error) {
	stream, err := p.client.Discovery().RESTClient().Get().AbsPath("/metrics").Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	defer stream.Close()
	return parseMetrics(stream)
}

func parseMetrics(text io.Reader) (Metrics, error) {
	metrics := Metrics{}
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("read metrics: %q: %w", line, err)
		}
		metrics[line[:at]] = value
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return metrics, nil
}

// Sum adds up the samples of a name whose labels hold all of these, as they are
// written: `verb="POST"`.
func (m Metrics) Sum(name string, labels ...string) float64 {
	sum := 0.0
	for sample, value := range m {
		if matches(sample, name, labels) {
			sum += value
		}
	}
	return sum
}

func matches(sample, name string, labels []string) bool {
	rest, isNamed := strings.CutPrefix(sample, name)
	if !isNamed || (rest != "" && rest[0] != '{') {
		return false
	}
	for _, label := range labels {
		if !strings.Contains(rest, label) {
			return false
		}
	}
	return true
}
