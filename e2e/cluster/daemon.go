package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// mark is in the environment of every program of the cluster and of all that they
// start, up to the containers. It is how they are found again.
const mark = "AGENT_STACK_K8S_CLUSTER=" + StateDir

// daemon is a program that outlives us.
type daemon struct {
	name       string
	executable string
	arguments  []string
}

// running is a daemon that this process started.
type running struct {
	daemon
	ended chan struct{} // closed when it has ended
	err   error         // how; to be read after ended is closed
}

// start runs the daemon in a session of its own, its output appended to its log.
func (d daemon) start(searchPath string) (*running, error) {
	log, err := os.OpenFile(d.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", d.name, err)
	}
	defer log.Close()
	command := exec.Command(d.executable, d.arguments...)
	command.Args[0] = d.name
	command.Dir = "/" // a checkout can be removed while we run
	command.Env = []string{"PATH=" + searchPath, "HOME=/root", mark}
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", d.name, err)
	}
	if err := writePid(d.name, command.Process.Pid); err != nil {
		_ = command.Process.Kill()
		return nil, err
	}
	r := &running{daemon: d, ended: make(chan struct{})}
	go func() {
		r.err = command.Wait()
		close(r.ended)
	}()
	return r, nil
}

func (d daemon) log() string { return filepath.Join(LogDir, d.name+".log") }

// failure is non-nil once the daemon has ended; none of them should.
func (r *running) failure() error {
	select {
	case <-r.ended:
	default:
		return nil
	}
	reason := "without an error"
	if r.err != nil {
		reason = "with " + r.err.Error()
	}
	return fmt.Errorf("%s ended %s; the last lines of %s:\n%s", r.name, reason, r.log(), tail(r.log(), 5))
}

// wait asks until the answer is nil or one of the daemons has ended.
func wait(ctx context.Context, timeout time.Duration, what string, daemons []*running, ready func(context.Context) error) error {
	const interval = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		for _, d := range daemons {
			if failure := d.failure(); failure != nil {
				return fmt.Errorf("wait for %s: %w", what, failure)
			}
		}
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return fmt.Errorf("wait for %s: %w", what, ctx.Err())
			}
			return fmt.Errorf("wait for %s: not there after %s: %w; see the logs in %s", what, timeout, err, LogDir)
		}
	}
}

// tail returns the last lines of a file, each cut to a readable length.
func tail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	const width = 300
	all := strings.Split(strings.TrimRight(string(bytes.ToValidUTF8(content, []byte("?"))), "\n"), "\n")
	all = all[max(0, len(all)-lines):]
	for i, line := range all {
		if len(line) > width {
			all[i] = line[:width] + "…"
		}
	}
	return "  " + strings.Join(all, "\n  ")
}
