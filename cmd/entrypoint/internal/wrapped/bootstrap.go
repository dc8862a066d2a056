//go:build linux

package wrapped

import (
	"errors"
	"fmt"
	"time"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/process"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// bootstrap runs the agent's client, which runs the container's phases. The client
// may have been started already.
func (c *container) bootstrap(early *client) rundir.Exit {
	agent := early
	if early == nil || !early.letGo() {
		var err error
		if agent, err = c.startClient(nil); err != nil {
			return rundir.Exit{Status: 1, Reason: err.Error()}
		}
	}
	exit := c.attend(agent)
	if exit.Status == 0 {
		c.shareWorkspace(agent.users)
	}

	return exit
}

// exitOf turns the agent's end into this container's. A client that was killed
// has not told the agent.
func exitOf(status process.Status) rundir.Exit {
	exit := rundir.Exit{Status: status.Code}
	if status.Signal != 0 {
		exit.Reason = fmt.Sprintf("The agent's process in this container ended by a signal: %v. "+
			"If it was killed, the container most likely used more memory than its limit.", status.Signal)
	}

	return exit
}

// finish records how the container ended and returns its exit status.
func (c *container) finish(exit rundir.Exit, cut error) int {
	if cut != nil {
		return c.finishUnrun(cut)
	}
	if exit.Reason != "" {
		c.sayf("%s", exit.Reason)
	}
	if err := c.directory.WriteExit(c.options.ID, exit); err != nil {
		c.sayf("%v", err)
	}
	// The next container waits for this.
	c.lock.Release()
	if exit.Status == 0 {
		c.linger()
	}
	if exit.Status == 0 || !c.reportsRunner() {
		return exit.Status
	}

	<-c.gone
	if c.accepted() {
		return 0
	}

	return exit.Status
}

// lingerTime is how long a container that is done stays there.
const lingerTime = 400 * time.Millisecond

// linger leaves the machine to the next container, which has just been let go: as soon
// as this process has ended the container runtime and the kubelet take this container
// apart, and on a small node that doubled what the next one took to get to its command.
func (c *container) linger() {
	limit := time.NewTimer(lingerTime)
	defer limit.Stop()
	select {
	case <-limit.C:
	case <-c.gone:
	case <-c.signals:
	}
}

// finishUnrun ends a container whose phases did not run.
func (c *container) finishUnrun(cut error) int {
	c.sayf("%v", cut)
	status := 1
	if end, ok := errors.AsType[*ended](cut); ok {
		status = end.status
	}
	if c.gone == nil {
		// The supervisor may start yet, and has to be told.
		if err := c.directory.WriteExit(c.options.ID, rundir.Exit{Status: status, Reason: "It was " + cut.Error() + "."}); err != nil {
			c.sayf("%v", err)
		}

		return status
	}
	if c.accepted() {
		return 0
	}

	return status
}

// reportsRunner says whether the pod's containers report the runner's success
// rather than the job's.
func (c *container) reportsRunner() bool {
	mode, err := c.directory.Read(rundir.SupervisorStarted, 64)

	return err == nil && string(mode) == contract.ExitStatusRunner
}

// accepted says whether there is nothing left for this container to report; ask
// once the supervisor has gone.
func (c *container) accepted() bool {
	verdict, err := c.directory.Read(rundir.Finished, 64)

	return err == nil && string(verdict) == rundir.Accepted
}
