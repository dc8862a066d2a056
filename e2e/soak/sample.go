package soak

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/buildkite/agent-stack-k8s/e2e/controlplane"
)

// sample is what the programs hold at a moment.
type sample struct {
	pods int
	// goroutines, heap, files and memory are the dispatcher's: its live heap after
	// a collection, if one was asked for, and its resident memory, in bytes.
	goroutines, files int
	heap, memory      int64
	// mutatorMemory is the mutator's resident memory.
	mutatorMemory int64
}

// sample looks; at rest it has the dispatcher collect its garbage first.
func (s *soak) sample(ctx context.Context, atRest bool) (sample, error) {
	var result sample
	if atRest {
		// Twice: what the first one finds dead may have finalizers.
		for range 2 {
			if err := collectGarbage(ctx, s.dispatcher.Profiler); err != nil {
				return result, err
			}
		}
	}
	metrics, err := controlplane.ReadMetrics(ctx, s.dispatcher.Metrics())
	if err != nil {
		return result, err
	}
	result.goroutines = int(metrics["go_goroutines"])
	result.heap = int64(metrics["go_memstats_heap_alloc_bytes"])
	if result.files, err = s.dispatcher.Files(); err != nil {
		return result, err
	}
	if result.memory, err = s.dispatcher.Memory(); err != nil {
		return result, err
	}
	if !atRest {
		return result, nil
	}
	if result.pods, err = s.bed.Pods(ctx); err != nil {
		return result, err
	}
	result.mutatorMemory, err = s.bed.Plane.Mutator().Memory()
	return result, err
}

// collectGarbage has the profiler do it, as it does before it shows the heap.
func collectGarbage(ctx context.Context, profiler string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+profiler+"/debug/pprof/heap?gc=1", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask for the heap: %w", err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return fmt.Errorf("read the heap: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for the heap: %s", response.Status)
	}
	return nil
}
