//go:build linux

package wrapped

import (
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/process"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/ssh"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// client is the agent's process in this container, which runs the container's phases.
type client struct {
	*process.Child

	// users are those of the containers after this one.
	users []int
	// context holds back a client that was started ahead of its turn; nil if this
	// one was not.
	context *rundir.Context
}

// startClient starts the client. With a context of its own it is held back.
func (c *container) startClient(context *rundir.Context) (*client, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	environment, err := c.environment(os.Environ(), self)
	if err != nil {
		return nil, err
	}
	environment = c.makeHome(environment, homeless, temporaryDefault)
	environment = c.setUpSSH(environment)
	if context != nil {
		environment = set(environment, contextVariable, context.Path())
	}
	users := c.nextUsers()
	if len(users) > 0 && c.checksOut() {
		// Files that are open from the start need not be changed later, which Git
		// would take for a change of the file until it has looked inside.
		unix.Umask(0)
	}

	agent := filepath.Join(c.options.AgentDirectory, filepath.Base(contract.AgentBinaryPath))
	child, err := process.Start(agent, []string{"kubernetes-bootstrap"}, environment, os.Stdout, os.Stderr)
	if err != nil {
		return nil, err
	}

	return &client{Child: child, users: users, context: context}, nil
}

// startEarly starts the client while the container before this one is at work, so
// that the program's own start, some 20 ms, delays no job. There is no need for it:
// nil means that the client is to be started when it is its turn.
//
// Where there are SSH keys it is not done. The container before this one is putting
// them into the same directory, and what is wrong with them belongs into the job's
// log at this one's turn.
func (c *container) startEarly() *client {
	if c.options.SSHDirectory != noSSH && ssh.Wanted(os.Environ()) {
		return nil
	}
	context, err := c.directory.NewContext(c.options.ID)
	if err != nil {
		c.sayf("the agent's client is not started ahead of its turn: %v", err)

		return nil
	}
	early, err := c.startClient(context)
	if err != nil {
		// It will be tried again, and be told then.
		context.Close()

		return nil
	}

	return early
}

// letGo ends the hold of a client that was started early, and says whether it will
// do: it may have ended by itself, as one would that does not like to wait.
func (e *client) letGo() bool {
	select {
	case <-e.Done():
		e.context.Close()

		return e.Status().Signal != 0
	default:
	}
	if err := e.context.Open(); err != nil {
		e.discard()

		return false
	}

	return true
}

// discard ends a client whose turn does not come.
func (e *client) discard() {
	e.Signal(syscall.SIGKILL)
	<-e.Done()
	e.context.Close()
}

// attend waits for the client's end and passes signals on to it.
func (c *container) attend(agent *client) rundir.Exit {
	for {
		select {
		case sig := <-c.signals:
			agent.Signal(sig)
		case <-agent.Done():
			if agent.context != nil {
				agent.context.Close()
			}

			return exitOf(agent.Status())
		}
	}
}
