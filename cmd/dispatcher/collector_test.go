package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestMemoryIsBounded(t *testing.T) {
	earlier := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(earlier) })
	debug.SetMemoryLimit(math.MaxInt64)
	for _, variable := range []string{"GOGC", "GOMEMLIMIT"} {
		boundMemory(t.Context(), func(name string) (string, bool) { return "200", name == variable })
		if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
			t.Errorf("%s is set, and the limit is %d all the same", variable, limit)
		}
	}
	boundMemory(t.Context(), func(string) (string, bool) { return "", false })
	if limit := debug.SetMemoryLimit(-1); limit != leastMemory {
		t.Errorf("the limit is %d, want %d", limit, leastMemory)
	}
}

// However much is in use, there is room for more than that.
func TestMemoryLimitFollowsWhatIsInUse(t *testing.T) {
	runtime.GC() // it tells of the last collection
	if inUse() == 0 {
		t.Errorf("the runtime has no metric %s", liveHeap)
	}
	for live, want := range map[uint64]int64{0: leastMemory, 8 << 20: leastMemory, 100 << 20: 137 << 20} {
		if got := memoryLimit(live); got != want {
			t.Errorf("the limit for %d bytes is %d, want %d", live, got, want)
		}
	}
}
