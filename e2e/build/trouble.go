package build

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// explain turns the Go command's failure into a sentence that says what to do.
// stderr is what it printed.
func (t tool) explain(ctx context.Context, err error, stderr string) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("build interrupted: %w", context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("no go command in PATH: install Go from https://go.dev/dl (e2e/go.mod says which version) and try again")
	}
	line := func(signs ...string) string { return lineWith(stderr, signs) }
	if found := line("no space left on device", "disk quota exceeded"); found != "" {
		return fmt.Errorf("the disk is full: %s; free some space (go clean -cache empties Go's build cache) and try again", found)
	}
	if found := line("requires go >=", "toolchain not available", "invalid go version", "unknown directive: tool"); found != "" {
		return fmt.Errorf("the go command is too old: %s; install a newer one from https://go.dev/dl, or let it fetch one with GOTOOLCHAIN=auto", found)
	}
	if found := line("dial tcp", "no such host", "i/o timeout", "connection refused", "connection reset", "TLS handshake", "Client.Timeout", "502 Bad Gateway", "503 Service Unavailable", "network is unreachable"); found != "" {
		return fmt.Errorf("the Go module proxy does not answer (GOPROXY=%s): %s; check the network and try again, what was fetched is kept", t.Proxy, found)
	}
	if stderr = strings.TrimSpace(stderr); stderr != "" {
		return fmt.Errorf("%s:\n%s", commandError(err), last(stderr, 40))
	}
	return errors.New(commandError(err))
}

func commandError(err error) string { return fmt.Sprintf("go command: %v", err) }

// lineWith returns the last line that holds one of the signs.
func lineWith(text string, signs []string) string {
	found := ""
	for line := range strings.Lines(text) {
		for _, sign := range signs {
			if strings.Contains(line, sign) {
				found = strings.TrimSpace(line)
			}
		}
	}
	return found
}

// last returns the end of text, at most so many lines.
func last(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// CheckSpace fails if a file system of the paths, which need not exist yet, has less
// than need bytes free.
func CheckSpace(need int64, paths ...string) error {
	for _, path := range paths {
		var status syscall.Statfs_t
		directory := path
		for syscall.Statfs(directory, &status) != nil && directory != filepath.Dir(directory) {
			directory = filepath.Dir(directory)
		}
		free := int64(status.Bavail) * status.Bsize
		if free < need {
			return fmt.Errorf("too little disk space for the build: %s has %.1f GB free and about %.1f GB are needed; free some (go clean -cache empties Go's build cache)",
				path, gigabytes(free), gigabytes(need))
		}
	}
	return nil
}

func gigabytes(bytes int64) float64 { return float64(bytes) / 1e9 }
