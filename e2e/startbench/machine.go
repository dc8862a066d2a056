package startbench

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"
)

var modelName = regexp.MustCompile(`(?m)^model name\s*: (.*)$`)

// heading says when, on what and how was measured.
func heading(runs int) string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if match := modelName.FindSubmatch(text); match != nil {
			model = string(match[1])
		}
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		release = []byte("unknown")
	}
	return fmt.Sprintf(`Start latency of a trivial job, %s
Command: bench-start --runs=%d (make bench-start)
Machine: %d cores of %s, Linux %s
A command container of busybox, a checkout of one file, images on the node.
Registered and finished are Buildkite's times; the first output is when the command ran.
`, time.Now().UTC().Format(time.DateOnly), runs, runtime.NumCPU(), model, strings.TrimSpace(string(release)))
}
