//go:build linux

// Package process runs one child the way the first process of a container has
// to: every signal is passed on, orphans are reaped, and the child's end becomes
// an exit status.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Child is a running child process.
type Child struct {
	pid    int
	done   chan struct{}
	status Status
}

// Status is how a child ended.
type Status struct {
	// Code is the exit status, 128 plus the signal's number if Signal is set.
	Code int
	// Signal is what killed the child, or 0.
	Signal syscall.Signal
}

// Start runs a program with our standard input and the given output files; further
// ones become its descriptors from 3 on. The path is used as it is. Only one child
// may be started in a process: reaping takes whatever comes.
func Start(path string, arguments, environment []string, stdout, stderr *os.File, further ...*os.File) (*Child, error) {
	// Without it orphans of a pod whose containers share one process namespace
	// would go to somebody else.
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

	files := []uintptr{os.Stdin.Fd(), stdout.Fd(), stderr.Fd()}
	for _, file := range further {
		files = append(files, file.Fd())
	}
	pid, err := syscall.ForkExec(path, append([]string{path}, arguments...), &syscall.ProcAttr{
		Env:   environment,
		Files: files,
		// As the first process of a container we take the child with us anyway;
		// where containers share one process namespace we must too, or it would
		// go on without anybody who watches.
		Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return nil, explain(path, environment, err)
	}
	child := &Child{pid: pid, done: make(chan struct{})}
	go child.reap()

	return child, nil
}

// explain says what to do about the errors that people meet.
func explain(path string, environment []string, err error) error {
	switch {
	case errors.Is(err, unix.E2BIG):
		return fmt.Errorf("start %s: %w: %s", path, err, largest(environment))
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("start %s: %w: is it a program for another architecture?", path, err)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("start %s: %w: the pod's bin volume does not hold it", path, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("start %s: %w: the container's user may not execute it; is the volume mounted noexec?", path, err)
	default:
		return fmt.Errorf("start %s: %w", path, err)
	}
}

func largest(environment []string) string {
	var name string
	var size int
	for _, variable := range environment {
		if len(variable) > size {
			size = len(variable)
			name, _, _ = strings.Cut(variable, "=")
		}
	}

	return fmt.Sprintf("the largest environment variable is %s with %d bytes; Linux takes at most 131071", name, size)
}

// reap collects every process that ends until it is the child's turn.
func (c *Child) reap() {
	defer close(c.done)
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			// Nobody is left, and somebody else took the child's status.
			c.status = Status{Code: 255}

			return
		case pid == c.pid:
			c.status = statusOf(status)

			return
		}
	}
}

func statusOf(status syscall.WaitStatus) Status {
	if status.Signaled() {
		return Status{Code: 128 + int(status.Signal()), Signal: status.Signal()}
	}

	return Status{Code: status.ExitStatus()}
}

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Status is how the child ended; call it after Done.
func (c *Child) Status() Status { return c.status }

// Signal passes a signal on. One that comes too late is not an error.
func (c *Child) Signal(sig os.Signal) {
	number, ok := sig.(syscall.Signal)
	if !ok {
		return
	}
	select {
	case <-c.done:
	default:
		_ = syscall.Kill(c.pid, number)
	}
}

// Signals returns a channel of the signals that are for the child, or for us
// while there is none.
func Signals() <-chan os.Signal {
	channel := make(chan os.Signal, 16)
	var wanted []os.Signal
	for number := syscall.Signal(1); number < 32; number++ {
		switch number {
		case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE, syscall.SIGKILL, syscall.SIGSTOP,
			// Faults of our own must end us, not the child.
			syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGABRT, syscall.SIGTRAP,
			syscall.SIGPROF:
		default:
			wanted = append(wanted, number)
		}
	}
	signal.Notify(channel, wanted...)

	return channel
}

// Stops says whether a signal asks a process to end.
func Stops(sig os.Signal) bool {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP:
		return true
	default:
		return false
	}
}
