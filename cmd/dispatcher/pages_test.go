package main

import (
	"os"
	"regexp"
	"testing"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestOperatePage: the dispatcher takes the configuration that the page shows.
func TestOperatePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := yamlBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) == 0 {
		t.Error("the page shows no configuration")
	}
	for _, block := range blocks {
		got, err := load([]string{"--config", configFile(t, block[1]), "--buildkite-token", "t"}, environment(nil))
		if err != nil {
			t.Errorf("%v in\n%s", err, block[1])
		}
		if len(got.queues) != 3 {
			t.Errorf("%d queues", len(got.queues))
		}
	}
}
