package migration

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// names reads a list of what a version had.
func names(t *testing.T, version string) []string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + version + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	slices.Sort(list)
	return list
}

// TestTableIsComplete holds the table against all names of the two versions.
func TestTableIsComplete(t *testing.T) {
	for version, bit := range map[string]Versions{"v0.4.0": Oldest, "v0.47.0": Newest} {
		var have []string
		for row := range All() {
			if row.In&bit != 0 {
				have = append(have, fmt.Sprintf("%s\t%s", row.Kind, row.Name))
			}
		}
		slices.Sort(have)
		want := names(t, version)
		if len(want) == 0 {
			t.Errorf("%s: no names", version)
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s (-testdata +table):\n%s", version, diff)
		}
	}
}

// TestRowsSayWhatToDo keeps a row from having no advice.
func TestRowsSayWhatToDo(t *testing.T) {
	seen := map[string]bool{}
	for row := range All() {
		name := fmt.Sprintf("%s %s", row.Kind, row.Name)
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
		switch {
		case row.Fate == Refused && row.As == "" && row.Chart == "":
			t.Errorf("%s is refused, and nothing is named in its place", name)
		case row.Fate == Warned && row.Note == "":
			t.Errorf("%s is ignored, and nothing says why", name)
		case row.Fate != Honoured && row.Fate != Refused && row.Fate != Warned:
			t.Errorf("%s has the fate %q", name, row.Fate)
		case strings.HasSuffix(row.Note, "."):
			t.Errorf("%s: the note ends with a full stop", name)
		case row.Example == "" && slices.Contains([]Kind{ConfigKey, ChartValue, PluginField, Step}, row.Kind):
			t.Errorf("%s has no example", name)
		}
	}
}
