package webhook

import (
	"math"
	"os"
	"runtime/debug"
)

// rarely is how far the heap may grow between two collections, in percent of
// what is in use, where a memory limit bounds it. The heap in use is a few
// megabytes, so that at Go's own 100 every tenth review of a large pod meets a
// collection, and then takes several times as long.
const rarely = 400

// CollectRarely lets the garbage collector wait while there is memory: fewer
// reviews then meet it. It does nothing without a memory limit (GOMEMLIMIT), near
// which the collector works as hard as it has to, and nothing where GOGC says
// what is wanted. It reports whether it did something.
func CollectRarely() bool {
	_, isSet := os.LookupEnv("GOGC")
	if isSet || debug.SetMemoryLimit(-1) == math.MaxInt64 {
		return false
	}
	debug.SetGCPercent(rarely)
	return true
}
