package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Program is what to run.
type Program struct {
	// Name is what errors call it.
	Name      string
	Path      string
	Arguments []string
	// Environment is added to PATH and HOME, which is the log's directory's.
	Environment []string
	// Log is the file that its output is appended to, Home its home directory.
	Log, Home string
}

// Process is a program that runs, or has run.
type Process struct {
	Program
	command *exec.Cmd
	ended   chan struct{}
	err     error // how it ended; to be read after ended is closed
}

// Start runs a program. The kernel kills it should this one end.
func Start(program Program) (*Process, error) {
	log, err := os.OpenFile(program.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", program.Name, err)
	}
	defer log.Close()
	command := exec.Command(program.Path, program.Arguments...)
	command.Dir = program.Home
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + program.Home}, program.Environment...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = endsWithUs()
	p := &Process{Program: program, command: command, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal comes when the thread ends that started the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := command.Start(); err != nil {
			started <- fmt.Errorf("start %s: %w", program.Name, err)
			return
		}
		started <- nil
		p.err = command.Wait()
		close(p.ended)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Ended is closed once the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Running reports whether it has not.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Kill ends the process with SIGKILL and returns once it is gone.
func (p *Process) Kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// Stop asks the process to end and kills it when it does not.
func (p *Process) Stop(patience time.Duration) error {
	if p == nil {
		return nil
	}
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		p.Kill()
		return fmt.Errorf("stop %s: it did not end within %s of SIGTERM", p.Name, patience)
	}
}

// Signal sends a signal.
func (p *Process) Signal(signal os.Signal) error {
	if err := p.command.Process.Signal(signal); err != nil {
		return fmt.Errorf("signal %s: %w", p.Name, err)
	}
	return nil
}

// failure is non-nil once the process has ended.
func (p *Process) failure() error {
	if p.Running() {
		return nil
	}
	reason := "without an error"
	if p.err != nil {
		reason = "with " + p.err.Error()
	}
	return fmt.Errorf("%s ended %s; the end of its log:\n%s", p.Name, reason, p.Tail(8))
}

// Tail returns the last lines of the log.
func (p *Process) Tail(lines int) string {
	content, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return "  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}

// waitFor asks until the answer is nil, the process has ended, or the time is up.
func (p *Process) waitFor(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if failure := p.failure(); failure != nil {
			return failure
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; the end of its log:\n%s", p.Name, errors.Join(err, ctx.Err()), p.Tail(8))
		case <-time.After(30 * time.Millisecond):
		}
	}
}
