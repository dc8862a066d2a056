package chart

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const page = "../../docs/chart-values.md"

// TestDocs writes the page of the chart's values from values.yaml, and holds
// every value against the schema.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(directory + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("# Chart values\n\nGenerated from `charts/agent-stack-k8s/values.yaml`. Under `config` stand, beside `org`, all options of the dispatcher (`dispatcher --help`)\n" +
		"and all keys of the [mutator's configuration](configuration.md); the existing stack's keys are taken or refused as [the table of fates](migrate.md#every-name) says. [Install](install.md) shows the common ones together.\n\n| value | default | meaning |\n|---|---|---|\n")
	describe(&table, "", document.Content[0], "")
	if *update {
		if err := os.WriteFile(page, []byte(table.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(table.String(), string(have)); diff != "" {
		t.Errorf("go test ./chart -update rewrites %s (-want +got):\n%s", page, diff)
	}
}

// describe writes a row for each value that has a meaning of its own.
func describe(table *strings.Builder, prefix string, mapping *yaml.Node, inherited string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		meaning := inherited
		if _, text, found := strings.Cut(key.HeadComment, "# -- "); found {
			meaning = strings.Join(strings.Fields(strings.ReplaceAll(text, "\n#", " ")), " ")
		}
		if name := prefix + key.Value; value.Kind == yaml.MappingNode && len(value.Content) > 0 && value.Style != yaml.FlowStyle {
			if meaning != inherited {
				fmt.Fprintf(table, "| `%s` | | %s |\n", name, meaning)
			}
			describe(table, name+".", value, "")
		} else {
			fmt.Fprintf(table, "| `%s` | %s | %s |\n", name, standard(value), meaning)
		}
	}
}

// standard is a default in one line.
func standard(value *yaml.Node) string {
	copied := *value
	copied.Style |= yaml.FlowStyle
	text, err := yaml.Marshal(&copied)
	if err != nil {
		return err.Error()
	}
	line := strings.Join(strings.Fields(string(text)), " ")
	if line == `""` || line == "{}" || line == "[]" {
		return ""
	}
	return "`" + line + "`"
}
