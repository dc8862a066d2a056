package crash

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun runs a few seconds of it, so that it works when it is wanted; what it is
// to show it shows at length, with `make crash`.
func TestRun(t *testing.T) {
	bin := os.Getenv("E2E_BIN")
	if bin == "" {
		t.Fatal("E2E_BIN is not set; run `make test`, which builds the programs and sets it")
	}
	var report strings.Builder
	err := Run(t.Context(), Options{
		Bin: bin, Manifests: filepath.Join("..", "..", "manifests"), Out: &report,
		Jobs: 20, Kills: 3, Seed: 1,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, report.String())
	}
	if !strings.Contains(report.String(), "20 jobs, 3 kills") {
		t.Errorf("the dispatcher was not killed 3 times:\n%s", report.String())
	}
}
