package render

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/document"
)

// FuzzRender renders whatever comes on standard input: it says what is wrong with
// it, or prints pods that can be read again.
func FuzzRender(f *testing.F) {
	for _, pattern := range []string{"../../../../manifests/examples/*.yaml", "../../../../mutator/testdata/*.in.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no files %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte("kind: List\nitems: [null, {kind: List, items: []}, {kind: Pod, spec: {containers: [{}]}}]\n"))
	f.Add([]byte("kind: CronJob\nspec: {jobTemplate: {spec: {template: {metadata: 1, spec: []}}}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var stdout, stderr bytes.Buffer
		status := Main([]string{"-f", "-", "-n", "jobs"}, "test", bytes.NewReader(text), &stdout, &stderr)
		if status != statusAdmitted && stderr.Len() == 0 {
			t.Fatalf("status %d without a word", status)
		}
		if status == statusTrouble {
			return
		}
		if _, problems := document.Parse(stdout.Bytes()); len(problems) > 0 {
			t.Fatalf("printed %q: %v", stdout.String(), problems)
		}
	})
}
