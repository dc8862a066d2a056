package agenttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// agentBinary is the agent under test.
var agentBinary string

// TestMain builds the agent, or takes the one that AGENT_BINARY names.
func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if agentBinary = os.Getenv("AGENT_BINARY"); agentBinary != "" {
		return m.Run()
	}
	directory, err := os.MkdirTemp("", "agent-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(directory)
	agentBinary = filepath.Join(directory, "buildkite-agent")
	build := exec.Command("go", "build", "-o", agentBinary, "github.com/buildkite/agent/v3")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "build the agent: %v\n", err)
		return 1
	}
	return m.Run()
}
