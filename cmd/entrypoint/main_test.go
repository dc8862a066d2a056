//go:build linux

package main

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// entrypointBinary is this program, built as it is shipped.
var entrypointBinary string

func TestMain(m *testing.M) {
	// The supervisor runs this very binary as the agent, and installs it for the others;
	// see agent_test.go.
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

// What is shipped runs on its own in any image, and is small: every pod copies it.
func TestPrograms(t *testing.T) {
	const limit = 6 << 20
	for architecture, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(architecture, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "entrypoint")
			build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
			if output, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build the entrypoint: %v\n%s", err, output)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() > limit {
				t.Errorf("the entrypoint has %d bytes, want at most %d", info.Size(), limit)
			}
			program, err := elf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer program.Close()
			if program.Machine != machine {
				t.Errorf("it is for %v, want %v", program.Machine, machine)
			}
			for _, part := range program.Progs {
				if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
					t.Errorf("it is not static: it has a part %v", part.Type)
				}
			}
		})
	}
}
