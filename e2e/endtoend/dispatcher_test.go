package endtoend

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// dispatcherProcess is a dispatcher outside the cluster, as `make run` starts one.
type dispatcherProcess struct {
	command *exec.Cmd
	ended   chan struct{}
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// startDispatcher runs one with a kubeconfig; later arguments win.
func startDispatcher(t *testing.T, arguments ...string) *dispatcherProcess {
	t.Helper()
	all := append([]string{
		"--kubeconfig=" + kube.Kubeconfig, "--context=" + kube.Context, "--namespace=" + jobNamespace,
		"--org=" + organization, "--cluster-uuid=" + clusterUUID,
		"--buildkite-token=" + graphqlToken, "--agent-token=" + agentToken,
		"--graphql-endpoint=" + simulatorURL + "/graphql", "--agent-endpoint=" + simulatorURL + "/v3",
		"--http-address=none",
	}, arguments...)
	d := &dispatcherProcess{command: exec.Command(filepath.Join(bin, "dispatcher"), all...), ended: make(chan struct{}), log: &lockedBuffer{}}
	d.command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	d.command.Stdout, d.command.Stderr = d.log, d.log
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = d.command.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() {
		d.stop()
		if t.Failed() {
			t.Logf("the dispatcher %s said:\n%s", strings.Join(arguments, " "), d.output())
		}
	})
	return d
}

// runDispatcher is startDispatcher for tests that only want it to be there.
func runDispatcher(t *testing.T, arguments ...string) (stop func()) {
	t.Helper()
	return startDispatcher(t, arguments...).stop
}

func (d *dispatcherProcess) stop() {
	_ = d.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(20 * time.Second):
		_ = d.command.Process.Kill()
		<-d.ended
	}
}

func (d *dispatcherProcess) running() bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

func (d *dispatcherProcess) output() string { return d.log.String() }

// waitOutput waits until the log has all of these in one line.
func (d *dispatcherProcess) waitOutput(t *testing.T, limit time.Duration, wanted ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		for line := range strings.Lines(d.output()) {
			found := true
			for _, want := range wanted {
				found = found && strings.Contains(line, want)
			}
			if found {
				t.Logf("the dispatcher says: %s", strings.TrimSpace(line))
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no line with %q in %s:\n%s", wanted, limit, d.output())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *dispatcherProcess) lacks(t *testing.T, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(d.output(), secret) {
			t.Errorf("the dispatcher's log holds the token %q", secret)
		}
	}
}
