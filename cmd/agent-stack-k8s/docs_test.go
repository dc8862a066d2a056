package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Marks around what is generated in a page.
const (
	generatedBegin = "<!-- generated: go test ./cmd/agent-stack-k8s -run TestDocs -update -->\n"
	generatedEnd   = "<!-- end -->\n"
)

// TestDocs holds the help in the commands' pages against the commands.
func TestDocs(t *testing.T) {
	for page, arguments := range map[string][]string{
		"command-line": {"--help"}, "render": {"render", "--help"}, "doctor": {"doctor", "--help"}, "explain": {"explain", "--help"},
	} {
		t.Run(page, func(t *testing.T) {
			var help, complaints bytes.Buffer
			if status := run(arguments, strings.NewReader(""), &help, &complaints); status != 0 || complaints.Len() > 0 {
				t.Fatalf("exit status %d: %s", status, complaints.String())
			}
			file := filepath.Join("..", "..", "docs", page+".md")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			before, rest, found := strings.Cut(string(text), generatedBegin)
			_, after, ended := strings.Cut(rest, generatedEnd)
			if !found || !ended {
				t.Fatalf("%s lacks the marks around its generated part", file)
			}
			want := before + generatedBegin + "```\n" + help.String() + "```\n" + generatedEnd + after
			if *update {
				if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want != string(text) {
				t.Errorf("go test ./cmd/agent-stack-k8s -run TestDocs -update rewrites %s", file)
			}
		})
	}
}
