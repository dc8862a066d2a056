package runner_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buildkite/agent/v3/kubernetes"
	"github.com/buildkite/agent/v3/logger"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/runner"
)

// TestAgainstAgent speaks to the agent's own runner.
func TestAgainstAgent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "buildkite.sock")
	var log strings.Builder
	server := kubernetes.NewRunner(logger.Discard, kubernetes.RunnerConfig{SocketPath: path, ClientCount: 2, Stdout: &log})
	ended := make(chan error, 1)
	go func() { ended <- server.Run(t.Context()) }()

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client, err := runner.Dial(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, line := range []string{"one\n", "", "zwei\n"} {
		if err := client.WriteLogs(line); err != nil {
			t.Fatal(err)
		}
	}
	// An error that the runner answers leaves the connection usable.
	if err := client.Exit(7, 1); err == nil || !strings.Contains(err.Error(), "unrecognized client id: 7") {
		t.Errorf("an unknown client: %v", err)
	}
	if err := client.Exit(0, 193); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := server.WaitStatus().ExitStatus(); got != 193 || log.String() != "one\nzwei\n" {
		t.Errorf("status %d, log %q", got, log.String())
	}
}

func TestDialFails(t *testing.T) {
	cases := map[string]struct {
		answer string
		want   string
	}{
		"nobody listens":   {want: "connect to the agent"},
		"not the protocol": {answer: "HTTP/1.0 404 Not Found\r\n\r\n", want: `unexpected answer "HTTP/1.0 404 Not Found"`},
		"cut short":        {answer: "HTTP/1.0 200 Con", want: "EOF"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "socket")
			if tc.answer != "" {
				listener, err := net.Listen("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				defer listener.Close()
				go answer(listener, tc.answer)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, err := runner.Dial(ctx, path)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func answer(listener net.Listener, text string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 1024))
		_, _ = conn.Write([]byte(text))
		conn.Close()
	}
}
