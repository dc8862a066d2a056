//go:build linux

// Package wrapped is the entrypoint of the containers that do a job's work. Each
// holds a lock for as long as it lives, so that its death is noticed at once, and
// lets the agent's client speak to the agent when it is its turn and not before, so
// that nothing polls.
package wrapped

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/process"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
)

// container is the state of one wrapped container.
type container struct {
	options   Options
	directory rundir.Directory
	stderr    io.Writer

	lock    *rundir.Lock
	gone    <-chan struct{} // closed once the supervisor has ended
	signals <-chan os.Signal
}

// ended is the error of a wait that the supervisor's end, or a stop, cut short.
// Its text is for the container's log.
type ended struct {
	reason string
	status int
}

func (e *ended) Error() string { return e.reason }

// Main is the run subcommand. It returns the exit status.
func Main(arguments []string, stdout, stderr io.Writer) int {
	options, err := parse(arguments)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)

		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "entrypoint run: %v\n\n%s", err, usage)

		return 1
	}

	c := &container{options: options, stderr: stderr, signals: process.Signals()}
	if err := c.claim(); err != nil {
		c.sayf("%v", err)

		return 1
	}

	return c.finish(c.work())
}

// sayf writes a line to the container's log.
func (c *container) sayf(format string, arguments ...any) {
	fmt.Fprintf(c.stderr, "entrypoint: "+format+"\n", arguments...)
}

// claim takes the container's lock and says that it has started, once.
func (c *container) claim() error {
	var err error
	if c.directory, err = rundir.Open(); err != nil {
		return err
	}
	id := c.options.ID
	if c.directory.Exists(rundir.ClientStarted(id)) {
		return errRestarted
	}
	if c.lock, err = c.directory.TryLock(rundir.ClientLock(id)); err != nil {
		return fmt.Errorf("be the pod's container %d: %w; has another container the same id?", id, err)
	}
	err = c.directory.Claim(rundir.ClientStarted(id))
	if errors.Is(err, fs.ErrExist) {
		return errRestarted
	}

	return err
}

var errRestarted = errors.New("this container has started before, and a job cannot go on in a restarted container; " +
	"set the pod's restartPolicy to Never and give the container no restartPolicy of its own")

// work waits for its turn and runs the container's phases.
func (c *container) work() (rundir.Exit, error) {
	if err := c.awaitSupervisor(); err != nil {
		return rundir.Exit{}, err
	}
	c.gone = c.await(rundir.SupervisorLock)
	if err := c.awaitGo(); err != nil {
		return rundir.Exit{}, err
	}
	early, err := c.awaitTurn()
	if err != nil {
		if early != nil {
			early.discard()
		}

		return rundir.Exit{}, err
	}

	return c.bootstrap(early), nil
}

// awaitSupervisor waits until the supervisor holds its locks. It may be a long
// time: the agent's image may have to be pulled first.
func (c *container) awaitSupervisor() error {
	watch := c.directory.Watch()
	defer watch.Close()
	limit := time.NewTimer(c.options.HoldTimeout)
	defer limit.Stop()
	for {
		select {
		case <-watch.Changed:
			if c.directory.Exists(rundir.SupervisorStarted) {
				return nil
			}
		case sig := <-c.signals:
			if process.Stops(sig) {
				return &ended{reason: "stopped while waiting for the agent's container", status: 128 + int(syscall.SIGTERM)}
			}
		case <-limit.C:
			return &ended{reason: fmt.Sprintf("the agent's container has not started after %v; the pod's events may say why",
				c.options.HoldTimeout), status: 1}
		}
	}
}

// await returns a channel that is closed when nobody holds the lock any more.
func (c *container) await(name string) <-chan struct{} {
	released := make(chan struct{})
	go func() {
		if err := c.directory.AwaitRelease(name); err != nil {
			// Not knowing is better than ending a job for it.
			c.sayf("%v", err)

			return
		}
		close(released)
	}()

	return released
}

// awaitGo waits until the agent has the job.
func (c *container) awaitGo() error {
	if err := c.awaitOrGone(rundir.GoLock); err != nil {
		return err
	}
	if !c.directory.Exists(rundir.Go) {
		<-c.gone

		return &ended{reason: "the agent ended before it let this container run", status: 1}
	}

	return nil
}

// awaitTurn waits until the containers before this one have succeeded. Once only one
// of them is left, and at work, it starts the client early, which it returns in any
// case.
func (c *container) awaitTurn() (early *client, err error) {
	before := c.options.ID - 1
	if before > 0 {
		if err := c.awaitSuccess(before - 1); err != nil {
			return nil, err
		}
	}
	if before >= 0 {
		atWork, err := c.awaitWork(before)
		if err != nil {
			return nil, err
		}
		if atWork {
			early = c.startEarly()
		}
		if err := c.awaitSuccess(before); err != nil {
			return early, err
		}
	}
	if !c.directory.Exists(rundir.Socket) {
		<-c.gone

		return early, &ended{reason: "not run, because the job ended before it was this container's turn", status: 1}
	}

	return early, nil
}

// awaitStart waits for another container's start: the agent may have the job before
// all containers are there.
func (c *container) awaitStart(other int) error {
	if c.directory.Exists(rundir.ClientStarted(other)) {
		return nil
	}
	watch := c.directory.Watch()
	defer watch.Close()
	for !c.directory.Exists(rundir.ClientStarted(other)) {
		select {
		case <-watch.Changed:
		case <-c.gone:
			return errAgentGone
		case <-c.signals:
			// See awaitUntil.
		}
	}

	return nil
}

// settlingTime is what a container whose turn has come is given for its own client's
// start, before the next one's is started ahead of its turn.
const settlingTime = 60 * time.Millisecond

// awaitWork waits until another container, whose turn has come, is at work, and says
// whether it still is: it may have ended meanwhile.
func (c *container) awaitWork(other int) (bool, error) {
	if err := c.awaitStart(other); err != nil {
		return false, err
	}
	released, err := c.awaitUntil(rundir.ClientLock(other), time.After(settlingTime))

	return !released, err
}

// awaitSuccess waits for another container's end.
func (c *container) awaitSuccess(before int) error {
	if err := c.awaitStart(before); err != nil {
		return err
	}
	if err := c.awaitOrGone(rundir.ClientLock(before)); err != nil {
		return err
	}
	exit, err := c.directory.ReadExit(before)
	if err == nil && exit.Status == 0 {
		return nil
	}
	// The agent ends the job, and says why.
	<-c.gone

	return &ended{reason: "not run, because a container before this one did not succeed", status: 1}
}

// awaitOrGone waits for a lock to be released.
func (c *container) awaitOrGone(lock string) error {
	_, err := c.awaitUntil(lock, nil)

	return err
}

// awaitUntil waits for a lock to be released, until the limit at most, and says whether
// it was. A request to stop is not obeyed here: when the pod is being stopped the agent
// is told too, and this container ends with it; an end before that would look like a
// death.
func (c *container) awaitUntil(lock string, limit <-chan time.Time) (released bool, err error) {
	release := c.await(lock)
	for {
		select {
		case <-release:
			return true, nil
		case <-limit:
			return false, nil
		case <-c.gone:
			return false, errAgentGone
		case <-c.signals:
		}
	}
}

var errAgentGone = &ended{reason: "the agent ended before it was this container's turn", status: 1}
