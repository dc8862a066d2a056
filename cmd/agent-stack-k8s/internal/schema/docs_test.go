package schema

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the help into docs/schema.md")

// TestDocs: the page has the help, and the line for editors.
func TestDocs(t *testing.T) {
	const begin, end = "<!-- generated: go test ./cmd/agent-stack-k8s/internal/schema -run TestDocs -update -->\n", "<!-- end -->\n"
	var help, stderr bytes.Buffer
	if status := Main([]string{"--help"}, "test", nil, &help, &stderr); status != 0 {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	file := filepath.Join(root, "docs", "schema.md")
	page := read(t, file)
	if !strings.Contains(page, "# yaml-language-server: $schema="+Address+"\n") {
		t.Error("the page does not have the line for editors")
	}
	before, after, found := strings.Cut(page, begin)
	_, tail, ended := strings.Cut(after, end)
	if !found || !ended {
		t.Fatal("the page lacks the marks around its generated part")
	}
	want := before + begin + "```\n" + help.String() + "```\n" + end + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}

		return
	}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Errorf("run the test with -update (-want +got):\n%s", diff)
	}
}
