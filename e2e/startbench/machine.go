package startbench

import (
	"fmt"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/bench"
)

// heading says when, on what and how was measured.
func heading(options Options) string {
	command := []string{fmt.Sprintf("bench-start --runs=%d", options.Runs)}
	for _, shape := range options.Shapes {
		command = append(command, fmt.Sprintf("--shape=%q", shape))
	}
	job := "Each is a later job of its build, the commit of which Buildkite knows."
	if options.FirstJob {
		command = append(command, "--first-job")
		job = "Each is the first job of its build, and tells Buildkite of the commit."
	}
	network := "Buildkite and the Git server are on the same machine and answer at once."
	if options.Latency > 0 {
		command = append(command, fmt.Sprintf("--latency=%v", options.Latency))
		network = fmt.Sprintf("Buildkite and the Git server answer after %v, as over a network.", options.Latency)
	}
	return fmt.Sprintf(`Start latency of a trivial job, %s
Command: %s (make bench-start)
Machine: %s
A command container of busybox, a checkout of one file, images on the node.
%s
%s
Existing is the existing stack's kind of pod: copy-agent and image check, then agent, checkout, command; v0.47 has the command first.
Registered and finished are Buildkite's times; the first output is when the command ran.
`, time.Now().UTC().Format(time.DateOnly), strings.Join(command, " "), bench.Machine(), job, network)
}
