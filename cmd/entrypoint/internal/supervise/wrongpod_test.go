//go:build linux

package supervise

import (
	"regexp"
	"strings"
	"testing"

	"github.com/buildkite/go-pipeline"
)

func TestOtherPlugins(t *testing.T) {
	pattern, err := regexp.Compile(otherPlugins())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(otherPlugins(), ",") {
		t.Error("the agent would split the expression at its comma")
	}
	const kubernetes = "github.com/buildkite-plugins/kubernetes-buildkite-plugin"
	cases := map[string]bool{
		kubernetes:             false,
		kubernetes + "#v1.0.0": false,
		"kubernetes":           false,
		"kubernetes#main":      false,
		"docker#v5":            true,
		"kubernetes-extra":     true,
		"my-org/kubernetes":    true,
		kubernetes + "s":       true,
		kubernetes + "/x":      true,
		"./local-plugin":       true,
		"github.com/x":         true,
		"g":                    true,
		"":                     true,
		"https://example.com/kubernetes-buildkite-plugin.git#v1": true,
	}
	for source, want := range cases {
		plugin := pipeline.Plugin{Source: source}
		if got := pattern.MatchString(plugin.FullSource()); got != want {
			t.Errorf("%q (%q): matches %v, want %v", source, plugin.FullSource(), got, want)
		}
	}
}

func TestSummaryFits(t *testing.T) {
	s := summary{Version: 1, Failure: strings.Repeat("x", 10_000)}
	for range 500 {
		s.Containers = append(s.Containers, containerSummary{Name: strings.Repeat("n", 63), Started: 1.5, Ended: 2.5})
	}
	contents := s.encode()
	if len(contents) == 0 || len(contents) > terminationLogLimit {
		t.Errorf("%d bytes, want some and at most %d", len(contents), terminationLogLimit)
	}
	if !strings.Contains(string(contents), `"omitted":4`) {
		t.Errorf("want the omitted containers to be counted: %.200s", contents)
	}
}
