package webhook

import (
	"math"
	"os"
	"runtime/debug"
	"testing"
)

func TestCollectRarely(t *testing.T) {
	limit := debug.SetMemoryLimit(-1)
	percent := debug.SetGCPercent(100)
	t.Cleanup(func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	})
	t.Setenv("GOGC", "100")
	debug.SetMemoryLimit(192 << 20)
	if CollectRarely() {
		t.Error("it overrides GOGC")
	}
	if err := os.Unsetenv("GOGC"); err != nil {
		t.Fatal(err)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	if CollectRarely() {
		t.Error("it lets the heap grow without a limit")
	}
	debug.SetMemoryLimit(192 << 20)
	if !CollectRarely() {
		t.Error("it does nothing below a limit")
	}
	if got := debug.SetGCPercent(100); got != rarely {
		t.Errorf("the heap may grow by %d %%, want %d", got, rarely)
	}
}
