package main

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// leastMemory is what this program may take before the collector has to work for
	// it; its code, which is mapped from its file, is not counted.
	leastMemory = 34 << 20
	// besideHeap is what the runtime takes beside the heap: stacks and its own tables.
	besideHeap = 12 << 20
	// memoryInterval is the time between two looks at what is in use.
	memoryInterval = 5 * time.Second
	liveHeap       = "/gc/heap/live:bytes"
)

// boundMemory has the garbage collector work as seldom as memory allows, and as often
// as it takes to stay near what is in use. This program is mostly what it remembers of
// pods: at Go's own setting it would take that twice. It does nothing where GOGC or
// GOMEMLIMIT says what is wanted.
func boundMemory(ctx context.Context, lookupEnv func(string) (string, bool)) {
	for _, variable := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, isSet := lookupEnv(variable); isSet {
			return
		}
	}
	debug.SetMemoryLimit(leastMemory)
	go func() {
		ticker := time.NewTicker(memoryInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				// A limit that cannot be kept costs a processor for nothing.
				debug.SetMemoryLimit(memoryLimit(inUse()))
			}
		}
	}()
}

// inUse is how many bytes of the heap the last collection found to be in use.
func inUse() uint64 {
	sample := []metrics.Sample{{Name: liveHeap}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}

// memoryLimit leaves a quarter of what is in use for garbage.
func memoryLimit(live uint64) int64 {
	wanted := min(live+live/4+besideHeap, math.MaxInt64)
	return max(leastMemory, int64(wanted))
}
