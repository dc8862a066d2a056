//go:build linux

package supervise

import (
	"strings"
	"testing"
)

// The agent's words are heard however the pipe cuts them.
func TestListener(t *testing.T) {
	const text = "12:00 INFO   Canceling job 0190 with a signal grace period\n12:00 INFO   more\n"
	for size := 1; size <= len(text); size++ {
		listener := listener{text: cancelling}
		heard := 0
		for rest := text; rest != ""; {
			piece := rest[:min(size, len(rest))]
			rest = rest[len(piece):]
			if listener.hears([]byte(piece)) {
				heard++
			}
		}
		if heard != 1 {
			t.Errorf("in pieces of %d bytes: heard %d times, want once", size, heard)
		}
	}
	other := listener{text: cancelling}
	if other.hears([]byte(strings.Repeat("Cancel the job\n", 100))) {
		t.Error("heard what was not said")
	}
}
