//go:build linux

package supervise

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// The agent reads its token after it has read its settings and before it speaks to
// Buildkite. Given the token through a pipe, it can be started while the pod's last
// containers still are, and waits in front of the pipe until they are there: its own
// start, some 30 ms of work, then delays no job.
//
// Source of the order: agent/v3 v3.138.1, clicommand/agent_start.go.

const (
	tokenVariable   = "BUILDKITE_AGENT_TOKEN"
	tokenFilePrefix = "file://"
	// tokenPipe is the pipe as the agent sees it: its first descriptor after the
	// standard ones.
	tokenPipe = tokenFilePrefix + "/proc/self/fd/3"
	// tokenLimit bounds the token. It is less than what a pipe takes without a
	// reader.
	tokenLimit = 32 << 10
)

// heldToken is a token that the agent does not have yet.
type heldToken struct {
	path        string
	read, write *os.File
}

// holdToken returns the token of the environment, held back; nil if it is not in a
// file, so that the agent would not wait for it.
func holdToken(value string) (*heldToken, error) {
	path, inFile := strings.CutPrefix(value, tokenFilePrefix)
	if !inFile {
		return nil, nil //nolint:nilnil // there is nothing to hold back, and nothing wrong
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for the agent token: %w", err)
	}

	return &heldToken{path: path, read: read, write: write}, nil
}

// give lets the agent have the token, as it is in its file now: the Secret may have
// been corrected since the pod started.
func (h *heldToken) give() error {
	defer h.write.Close()
	file, err := os.Open(h.path)
	if err != nil {
		return fmt.Errorf("read the agent token: %w", err)
	}
	defer file.Close()
	token, err := io.ReadAll(io.LimitReader(file, tokenLimit))
	if err != nil {
		return fmt.Errorf("read the agent token: %w", err)
	}
	if len(strings.TrimSpace(string(token))) == 0 {
		return fmt.Errorf("read the agent token: %s is empty", h.path)
	}
	if _, err := h.write.Write(token); err != nil {
		return fmt.Errorf("give the agent its token: %w", errors.Join(err, errAgentGone))
	}

	return nil
}

var errAgentGone = errors.New("the agent has ended already; its own output says why")
