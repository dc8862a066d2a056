package startbench

import (
	"fmt"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/bench"
)

// heading says when, on what and how was measured.
func heading(runs int) string {
	return fmt.Sprintf(`Start latency of a trivial job, %s
Command: bench-start --runs=%d (make bench-start)
Machine: %s
A command container of busybox, a checkout of one file, images on the node.
Existing is the existing stack's kind of pod: copy-agent and image check, then agent, checkout, command; v0.47 has the command first.
Registered and finished are Buildkite's times; the first output is when the command ran.
`, time.Now().UTC().Format(time.DateOnly), runs, bench.Machine())
}
