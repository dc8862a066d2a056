package chart

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const migrationPage = "../../docs/migrate.md"

// TestMigrationPage renders the chart with each command of helm on the page, and
// the files of values that the page shows.
func TestMigrationPage(t *testing.T) {
	data, err := os.ReadFile(migrationPage)
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(string(data), "\\\n", "")
	files := shownFiles(t, string(data))
	var tags []string
	names := map[string]bool{}
	for _, command := range helmCommands.FindAllString(page, -1) {
		options := commandOptions(t, command, files)
		rendered, err := Render(directory, options)
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		got := read(t, rendered)
		tags = append(tags, got.dispatcher["tags"].([]any)[0].(string))
		if got.dispatcher["controller-id"] != "buildkite-next.agent-stack-k8s" || at(got.mutator, "agent.noPTY") != true {
			t.Errorf("%s: %v\n%v", command, got.dispatcher, got.mutator)
		}
		if !strings.Contains(got.notes, "config.work-queue-limit has no effect") {
			t.Errorf("%s: the notes do not warn:\n%s", command, got.notes)
		}
		for _, one := range got.objects {
			names[strings.ToLower(one.GetKind())+" "+one.GetName()] = true
		}
	}
	if diff := cmp.Diff([]string{"queue=kubernetes-next", "queue=kubernetes-next", "queue=kubernetes"}, tags); diff != "" {
		t.Errorf("the commands serve the queues (-want +got):\n%s", diff)
	}
	mentioned := regexp.MustCompile(`kubectl -n buildkite-next (?:scale|get) (\S+ \S+)`).FindAllStringSubmatch(page, -1)
	if len(mentioned) == 0 {
		t.Error("the page names no object")
	}
	for _, match := range mentioned {
		if !names[match[1]] {
			t.Errorf("the chart makes no %s", match[1])
		}
	}
}
