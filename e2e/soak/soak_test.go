package soak

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRun runs a few seconds of it, so that it works when it is wanted; what it is
// to show it shows at length, with `make soak`.
func TestRun(t *testing.T) {
	bin := os.Getenv("E2E_BIN")
	if bin == "" {
		t.Fatal("E2E_BIN is not set; run `make test`, which builds the programs and sets it")
	}
	var report strings.Builder
	err := Run(t.Context(), Options{
		Bin: bin, Manifests: filepath.Join("..", "..", "manifests"), Out: &report,
		Duration: 20 * time.Second, Rate: 2, Warm: 5 * time.Second, Settle: 5 * time.Second,
		Pause: 4 * time.Second, JobTime: time.Second, JobTTL: time.Second, Seed: 1,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, report.String())
	}
	if !strings.Contains(report.String(), "are where they began") {
		t.Errorf("nothing was compared:\n%s", report.String())
	}
}
