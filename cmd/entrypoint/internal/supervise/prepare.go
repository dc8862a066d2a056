//go:build linux

package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

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
	for _, name := range []string{"BUILDKITE_SOCKETS_PATH", "HOME", "TMPDIR"} {
		if path := os.Getenv(name); filepath.IsAbs(path) {
			directories = append(directories, path)
		}
	}
	for _, directory := range directories {
		err := rundir.MakeOpen(directory)
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w; the volume there must be writable for uid %d: set fsGroup in the pod's securityContext", err, os.Getuid())
		}
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			return fmt.Errorf("%w; the volume there is full: make room on it, or give the pod another", err)
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

// deliverAgent copies the agent to where every container can execute it. The copy is
// not synced: it is of no use to anybody after a crash of the node, and would delay each
// job by as long as 50 MB take to write.
func (s *supervisor) deliverAgent() error {
	target := filepath.Join(s.options.AgentDirectory, filepath.Base(contract.AgentBinaryPath))
	err := install.Copy(s.options.AgentBinary, target, false)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; %s must be a volume that all containers mount", err, s.options.AgentDirectory)
	}

	return err
}

// openJobFiles lets containers of other users read the files with the job's
// environment, to which some plugins refer; the agent closes them to all but its
// own. All containers get what is in them anyway.
func (s *supervisor) openJobFiles() {
	paths, err := filepath.Glob(s.directory.Path("job-env-*"))
	if err != nil {
		return
	}
	for _, path := range paths {
		if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if err := os.Chmod(path, 0o644); err != nil {
			s.logf("%v", err)
		}
	}
}
