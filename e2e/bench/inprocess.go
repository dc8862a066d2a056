package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// Result is what one contender's answers took.
type Result struct {
	Name string
	// Times are those of single answers, sorted.
	Times []time.Duration
	// CPU is what the process used per answer, with its garbage collector.
	CPU time.Duration
	// Allocations and AllocatedBytes are per answer.
	Allocations, AllocatedBytes float64
	// RequestBytes and PatchBytes are the sizes of the pod and of the patch, and
	// ResponseBytes that of the HTTP response's body.
	RequestBytes, PatchBytes, ResponseBytes int
	// Elapsed is how long all answers took, side by side.
	Elapsed time.Duration
	// TurnedAway counts 429s.
	TurnedAway int
}

// Sorted returns the result with its times in order, which Percentile needs.
func (r Result) Sorted() Result {
	r.Times = slices.Sorted(slices.Values(r.Times))
	return r
}

// Percentile returns the time within which this part of the answers came.
func (r Result) Percentile(part float64) time.Duration {
	if len(r.Times) == 0 {
		return 0
	}
	return r.Times[min(int(part*float64(len(r.Times))), len(r.Times)-1)]
}

// batch is how many answers a contender gives before it is the next one's turn.
const batch = 50

// InProcess has the contenders answer the same request in turns, and measures
// from the request to the response with its encoded patch.
func InProcess(ctx context.Context, contenders []Contender, raw []byte, rounds int) ([]Result, error) {
	results := make([]Result, len(contenders))
	// The first round warms caches up, and is not counted.
	for round := range rounds + 1 {
		for i, contender := range contenders {
			if err := turn(ctx, contender, raw, &results[i]); err != nil {
				return nil, err
			}
			if round == 0 {
				results[i] = Result{}
			}
		}
	}
	for i := range results {
		results[i].CPU /= time.Duration(len(results[i].Times))
		results[i].Allocations /= float64(len(results[i].Times))
		results[i].AllocatedBytes /= float64(len(results[i].Times))
		slices.Sort(results[i].Times)
	}
	return results, nil
}

// turn is one contender's batch.
func turn(ctx context.Context, contender Contender, raw []byte, result *Result) error {
	result.Name, result.RequestBytes = contender.Name, len(raw)
	// What another contender left behind is not this one's to collect.
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := cpuTime()
	for range batch {
		start := time.Now()
		response := contender.Webhook.Handle(ctx, Request(raw))
		result.Times = append(result.Times, time.Since(start))
		if !response.Allowed || len(response.Patch) == 0 {
			return fmt.Errorf("%s: allowed %t with a patch of %d bytes: %v", contender.Name, response.Allowed, len(response.Patch), response.Result)
		}
		result.PatchBytes = len(response.Patch)
	}
	result.CPU += cpuTime() - cpu
	runtime.ReadMemStats(&after)
	result.Allocations += float64(after.Mallocs - before.Mallocs)
	result.AllocatedBytes += float64(after.TotalAlloc - before.TotalAlloc)
	return nil
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		// Every system that this runs on knows its own process.
		panic("read the process's CPU time: " + err.Error())
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
