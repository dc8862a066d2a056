package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named is a test as pages name it: its directory and its function.
var named = regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z]+)`")

// Each test that the page of faults names is there, in either module, and each row
// names one and says what it fails without.
func TestFaults(t *testing.T) {
	page, err := os.ReadFile("faults.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| #") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		tests := named.FindAllStringSubmatch(line, -1)
		if len(cells) != 5 || len(tests) == 0 || strings.TrimSpace(cells[4]) == "" {
			t.Errorf("%d cells, want 5 with a test and what it fails without: %s", len(cells), line)
		}
		for _, test := range tests {
			if !isTest(t, test[1], test[2]) {
				t.Errorf("there is no test %s in %s", test[2], test[1])
			}
		}
	}
	if rows < 20 {
		t.Errorf("%d rows", rows)
	}
}

// isTest reports whether a directory of the repository has a test.
func isTest(t *testing.T, directory, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(directory), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			if function, isFunction := declaration.(*ast.FuncDecl); isFunction && function.Recv == nil && function.Name.Name == name {
				return true
			}
		}
	}
	return false
}
