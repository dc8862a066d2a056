package mutator

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFeaturesPage: the page's fixtures, tests and examples exist, and every
// fixture is on it.
func TestFeaturesPage(t *testing.T) {
	page := readFile(t, "../docs/features.md")
	functions := testFunctions(t)
	named := map[string]bool{}
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) < 2 || strings.HasSuffix(cells[len(cells)-1], "tests ") {
			continue
		}
		tests := regexp.MustCompile("`([A-Za-z0-9-]+)`").FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(tests) == 0 {
			t.Errorf("no test: %s", line)
		}
		for _, test := range tests {
			name := test[1]
			named[name] = true
			if strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") {
				if !functions[name] {
					t.Errorf("there is no %s: %s", name, line)
				}
				continue
			}
			readFile(t, "testdata/"+name+".in.yaml")
		}
	}
	for _, example := range regexp.MustCompile("`(manifests/[^`]+)`").FindAllStringSubmatch(page, -1) {
		readFile(t, "../"+example[1])
	}
	for _, input := range glob(t, "*.in.yaml") {
		if name := strings.TrimSuffix(filepath.Base(input), ".in.yaml"); !named[name] {
			t.Errorf("docs/features.md does not name the fixture %s", name)
		}
	}
}

// testFunctions are all tests and fuzz targets of the repository.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	functions := map[string]bool{}
	definition := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range definition.FindAllStringSubmatch(string(text), -1) {
			functions[match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return functions
}
