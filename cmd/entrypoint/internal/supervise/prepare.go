//go:build linux

package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/install"
	"github.com/buildkite/agent-stack-k8s/cmd/entrypoint/internal/rundir"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

// claim takes the supervisor's locks and tells the wrapped containers so.
func (s *supervisor) claim() error {
	if s.directory.Exists(rundir.SupervisorStarted) {
		return errors.New("the agent's container was restarted, and a job cannot go on in a new agent; set the pod's restartPolicy to Never")
	}
	var err error
	if s.alive, err = s.directory.TryLock(rundir.SupervisorLock); err != nil {
		return fmt.Errorf("be the pod's only supervisor: %w", err)
	}
	if s.gate, err = s.directory.TryLock(rundir.GoLock); err != nil {
		return fmt.Errorf("be the pod's only supervisor: %w", err)
	}

	return s.directory.Write(rundir.SupervisorStarted, []byte(s.options.ExitStatus))
}

// makeDirectories makes what the containers share. All of it is open to all
// users, who differ from container to container.
func (s *supervisor) makeDirectories() error {
	directories := []string{
		environmentOr("BUILDKITE_BUILD_PATH", contract.BuildPath),
		environmentOr("BUILDKITE_PLUGINS_PATH", contract.PluginsPath),
		environmentOr("BUILDKITE_HOOKS_PATH", contract.HooksPath),
		s.directory.Path(filepath.Base(contract.SocketsPath)),
		s.directory.Path(filepath.Base(contract.HomesPath)),
	}
	for _, name := range []string{"BUILDKITE_SOCKETS_PATH", "HOME"} {
		if path := os.Getenv(name); filepath.IsAbs(path) {
			directories = append(directories, path)
		}
	}
	for _, directory := range directories {
		err := rundir.MakeOpen(directory)
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w; the volume there must be writable for uid %d: set fsGroup in the pod's securityContext", err, os.Getuid())
		}
		if err != nil {
			return err
		}
	}

	return nil
}

func environmentOr(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}

	return fallback
}

// deliverAgent copies the agent to where every container can execute it, and
// returns its path. The copy is not synced: it is of no use to anybody after a
// crash of the node, and would delay each job by as long as 50 MB take to write.
func (s *supervisor) deliverAgent() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the bin volume: %w", err)
	}
	target := filepath.Join(filepath.Dir(self), filepath.Base(contract.AgentBinaryPath))
	if err := install.Copy(s.options.AgentBinary, target, false); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%w; does the agent image have the agent somewhere else?", err)
		}

		return "", err
	}

	return target, nil
}
