package migration

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the generated part of docs/migrate.md")

const page = "../../docs/migrate.md"

// Marks around what is generated in the page.
const (
	generatedBegin = "<!-- generated: go test ./dispatcher/migration -run TestDocs -update -->\n"
	generatedEnd   = "<!-- end -->\n"
)

// headings are those of the kinds' tables, with what there is to say first.
var headings = map[Kind]string{
	ConfigKey: "### Configuration keys\n\nKeys of the controller's file and of the chart's `config`; those that are not marked as \"file\" were flags and environment variables, too. " +
		"The dispatcher has its own keys in its file, as flags and as variables; the rest is the [mutator's](configuration.md). The chart gives each what is its own.\n",
	ChartValue:  "### Chart values\n\nBeside `config`.\n",
	Secret:      "### Secrets\n",
	PluginField: "### Fields of the plugin\n",
	Step:        "### Steps\n",
	Label:       "### Labels\n",
	Annotation:  "### Annotations\n",
}

// TestDocs writes the table of fates into the page.
func TestDocs(t *testing.T) {
	var tables strings.Builder
	for _, kind := range Kinds() {
		fmt.Fprintf(&tables, "\n%s\n", headings[kind])
		if kind == ConfigKey {
			tables.WriteString("| name | in | given to the dispatcher | in the chart's `config` | |\n|---|---|---|---|---|\n")
		} else {
			tables.WriteString("| name | in | fate | |\n|---|---|---|---|\n")
		}
		for _, row := range Of(kind) {
			tables.WriteString(line(row))
		}
	}
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), generatedBegin)
	_, after, ended := strings.Cut(rest, generatedEnd)
	if !found || !ended {
		t.Fatalf("%s lacks the marks around its generated part", page)
	}
	want := before + generatedBegin + tables.String() + generatedEnd + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(want, string(data)); diff != "" {
		t.Errorf("go test ./dispatcher/migration -run TestDocs -update rewrites %s (-want +got):\n%s", page, diff)
	}
}

// TestMetricsExist keeps the page from naming a metric that there is not.
func TestMetricsExist(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`buildkite_dispatcher_[a-z_]+`").FindAllString(string(text), -1)
	if len(named) == 0 {
		t.Error("the page names no metric")
	}
	for _, name := range named {
		if !strings.Contains(string(metrics), "| "+name+" |") {
			t.Errorf("there is no metric %s", name)
		}
	}
}

func line(row Row) string {
	name := "`" + row.Name + "`"
	if row.Kind != ConfigKey {
		return fmt.Sprintf("| %s | %s | %s | %s |\n", name, row.In, fate(row, row.As), row.Note)
	}
	if row.FileOnly {
		name += " (file)"
	}
	dispatcher, chart := fate(row, cmp.Or(row.As, row.Chart)), fate(row, row.As)
	if row.Chart != "" {
		chart = fate(Row{Fate: Honoured}, row.Chart)
		dispatcher = fmt.Sprintf("%s: the mutator's `%s`", Refused, row.Chart)
	}
	if strings.HasPrefix(row.Name, "agent-config.") {
		// The key as a whole is refused.
		dispatcher = string(Refused)
	}
	switch row.Name {
	case "config", "buildkite-token":
		chart = "set by the chart"
	case "agent-config":
		chart = "key by key, below"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", name, row.In, dispatcher, chart, row.Note)
}

// fate says in a cell what becomes of a name, and what ours is.
func fate(row Row, ours string) string {
	switch {
	case ours == "":
		return string(row.Fate)
	case row.Fate == Honoured:
		return fmt.Sprintf("%s, as `%s`", Honoured, ours)
	default:
		return fmt.Sprintf("%s: %s", row.Fate, code(ours))
	}
}

// code marks as code what is a name, and not a sentence with one in it.
func code(text string) string {
	if strings.Contains(text, " ") && !strings.Contains(text, ": ") {
		return text
	}
	return "`" + text + "`"
}
