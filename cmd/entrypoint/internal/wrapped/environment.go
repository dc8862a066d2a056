//go:build linux

package wrapped

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/interpose"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// Variables of the agent's bootstrap. The registration with the agent changes none
// that is set here.
const (
	commandVariable = "BUILDKITE_COMMAND"
	contextVariable = "BUILDKITE_JOB_CONTEXT_DIR"
	shellVariable   = "BUILDKITE_SHELL"
)

// commandLimit bounds the published command; Linux takes 128 KiB for a variable.
const commandLimit = 1 << 20

// connectionTimeout is how long the agent's client tries to reach a socket that
// we have seen; its own default of two minutes is for pods without a supervisor.
const connectionTimeout = "10s"

// environment is the container's own with what the agent's client needs. The
// program is this one's path.
func (c *container) environment(own []string, program string) ([]string, error) {
	id := strconv.Itoa(c.options.ID)
	environment := slices.Clone(own)
	for _, missing := range []struct{ name, value string }{
		{"BUILDKITE_CONTAINER_ID", id},
		{contextVariable, c.directory.Path("")},
		{"BUILDKITE_KUBERNETES_BOOTSTRAP_CONNECTION_TIMEOUT", connectionTimeout},
		{"BUILDKITE_SOCKETS_PATH", c.directory.Path(filepath.Join(filepath.Base(contract.SocketsPath), id))},
	} {
		if _, found := lookup(own, missing.name); !found {
			environment = set(environment, missing.name, missing.value)
		}
	}
	environment, err := c.withCommand(environment)
	if err != nil {
		return nil, err
	}
	environment = append(environment, interpose.Keep(own, c.options.OwnVariables)...)
	ownShell, _ := lookup(own, shellVariable)
	if shell := c.options.Command.Shell(program, c.options.WorkingDirectory, ownShell, c.options.OwnVariables...); shell != "" {
		environment = set(environment, shellVariable, shell)
	}

	return tellGit(environment, c.severalUsers()), nil
}

// withCommand sets the command: the container's own, or else the taken job's.
// The client would not take that one from the agent.
func (c *container) withCommand(environment []string) ([]string, error) {
	if c.options.Command.Interposer != "" {
		return set(environment, commandVariable, c.options.Command.Script()), nil
	}
	if _, found := lookup(environment, commandVariable); found {
		return environment, nil
	}
	command, err := c.directory.Read(rundir.Command, commandLimit)
	switch {
	case err == nil:
		return set(environment, commandVariable, string(command)), nil
	case errors.Is(err, fs.ErrNotExist):
		return environment, nil
	default:
		return nil, fmt.Errorf("the job's command: %w", err)
	}
}

// lookup returns a variable's value, the last one if there are several, and
// whether it is there.
func lookup(environment []string, name string) (string, bool) {
	for _, variable := range slices.Backward(environment) {
		if value, found := strings.CutPrefix(variable, name+"="); found {
			return value, true
		}
	}

	return "", false
}

// set returns an environment in which a variable is there once.
func set(environment []string, name, value string) []string {
	return append(unset(environment, name), name+"="+value)
}
