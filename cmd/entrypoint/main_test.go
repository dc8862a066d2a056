//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// entrypointBinary is this program, built as it is shipped.
var entrypointBinary string

func TestMain(m *testing.M) {
	// The supervisor installs this very binary as the agent; see agent_test.go.
	if filepath.Base(os.Args[0]) == "buildkite-agent" {
		os.Exit(agentMain(os.Args[1]))
	}
	if filepath.Base(os.Args[0]) == witness {
		os.Exit(witnessMain())
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	directory, err := os.MkdirTemp("", "entrypoint")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)

		return 1
	}
	defer os.RemoveAll(directory)
	entrypointBinary = filepath.Join(directory, "entrypoint")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", entrypointBinary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the entrypoint: %v\n%s", err, output)

		return 1
	}

	return m.Run()
}

func TestSize(t *testing.T) {
	const limit = 6 << 20
	info, err := os.Stat(entrypointBinary)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > limit {
		t.Errorf("the entrypoint has %d bytes, want at most %d: every pod copies it", info.Size(), limit)
	}
}
